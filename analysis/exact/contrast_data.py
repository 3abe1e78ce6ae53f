"""What a fit of contrasts is given: the rows to pool, the studies that teach SDs, the priors.

A row is one controlled (or uncontrolled) contrast. Its `kind` says what was printed:

- `numeric`: the value y; its variance is var_a - r var_b with r the pre-post correlation, or, where
  no spread is printed (var_a not finite), SD^2 n_factor with an SD to be learnt; a bound on its p
  (z_low < y / se < z_high) then bounds that SE (`log_se_bounds`);
- `exact_p`: the statistic z = y / se itself (z_low = z_high = z);
- `two_points`: an exact p-value without a direction: z or -z (z_high = z);
- `interval`: z_low < y / se < z_high, a result in words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.exact.priors import HalfNormal, Normal, TauPrior

KINDS = ("numeric", "exact_p", "two_points", "interval")
R_LIMIT = 0.95  # the pre-post correlation lies between minus and plus this


@dataclass(frozen=True)
class ContrastPriors:
    """Priors of one continuous outcome, in its unit.

    mu : mean effect. None: flat (then one row at least must be a number with a known spread).
    tau : SD between studies.
    log_sd, log_sd_spread : centre m of the log SDs of change, and scale of the half-normal prior of
        their SD s between studies.
    r : mean and SD of the pre-post correlation, normal truncated at -0.95 and 0.95.
    tau_class : SD between classes, where that level is asked for.
    coefficients : priors of the regression coefficients by name.
    """

    mu: Normal | None
    tau: TauPrior
    log_sd: Normal = field(default_factory=lambda: Normal(0.0, 0.7))
    log_sd_spread: float = 0.5
    r: tuple[float, float] = (0.4, 0.3)
    tau_class: HalfNormal | None = None
    coefficients: dict[str, Normal] = field(default_factory=dict)

    @classmethod
    def of(cls, outcome: str) -> ContrastPriors:
        """The priors of an outcome as `analysis.priors` gives them.

        Raises
        ------
        KeyError : no such outcome.
        """
        from analysis import priors

        def normal(name: str) -> Normal:
            mean, sd = priors.get(outcome, name).params
            return Normal(mean, sd)

        names = ("bias", "type_effect", "slope", "measure")
        r_mean, r_sd = priors.get("change", "r").params
        return cls(
            mu=normal("mu"),
            tau=HalfNormal(priors.get(outcome, "tau").scale),
            log_sd=normal("log_sd"),
            log_sd_spread=priors.get("change", "log_sd_spread").scale,
            r=(r_mean, r_sd),
            tau_class=HalfNormal(priors.get(outcome, "tau_class").scale),
            coefficients={name: normal(name) for name in names},
        )

    def with_(self, **changes: Any) -> ContrastPriors:
        """The same priors but for those named."""
        return replace(self, **changes)


@dataclass(frozen=True)
class Contrasts:
    """Rows as plain arrays, all of length k.

    kind : words of `KINDS`.       y : values (NaN in words).
    var_a, var_b : variance = var_a - r var_b (NaN: no spread).
    n_factor : 1 / n treated + 1 / n control.
    z_low, z_high : bounds on y / se.
    n_patients : patients behind the row.
    teaches : prints a spread of its own, not one derived from a p-value.
    cell_class : class of each row (for the class level).
    covariates : (k, q) values of the regression, with `names`.
    labels : what messages and tables call the rows.
    """

    kind: np.ndarray
    y: np.ndarray
    var_a: np.ndarray
    var_b: np.ndarray
    n_factor: np.ndarray
    z_low: np.ndarray
    z_high: np.ndarray
    n_patients: np.ndarray
    teaches: np.ndarray
    cell_class: np.ndarray
    covariates: np.ndarray
    names: tuple[str, ...]
    labels: np.ndarray

    @classmethod
    def of(
        cls,
        kind: Any = None,
        y: Any = None,
        var_a: Any = None,
        var_b: Any = 0.0,
        n_factor: Any = np.nan,
        z_low: Any = -np.inf,
        z_high: Any = np.inf,
        n_patients: Any = np.nan,
        teaches: Any = None,
        cell_class: Any = "",
        covariates: Any = None,
        labels: Any = None,
    ) -> Contrasts:
        """Rows from plain arrays; a single value stands for every row.

        Parameters
        ----------
        kind : default `numeric`.      y, var_a : NaN where not printed.
        covariates : mapping of a name to k values, or a DataFrame.
        n_patients : NaN: 2, the fewest that give a spread.

        Raises
        ------
        ValueError : lengths differ, or a row cannot be read; every fault with its row.
        """
        given = {"kind": "numeric" if kind is None else kind, "y": np.nan if y is None else y,
                 "var_a": np.nan if var_a is None else var_a, "var_b": var_b,
                 "n_factor": n_factor, "z_low": z_low, "z_high": z_high,
                 "n_patients": n_patients, "cell_class": cell_class}  # fmt: skip
        given = {name: v.to_numpy() if isinstance(v, pd.Series) else v for name, v in given.items()}
        sizes = {np.size(v) for v in given.values() if np.ndim(v)}
        k = max(sizes, default=1)
        if any(np.ndim(v) and np.size(v) != k for v in given.values()):
            raise ValueError(f"arrays of different lengths: {sorted(sizes)}")
        words = ("kind", "cell_class")
        rows = {
            name: np.broadcast_to(
                np.asarray(v, dtype=object if name in words else float), (k,)
            ).copy()
            for name, v in given.items()
        }
        table = pd.DataFrame(dict(covariates)) if covariates is not None else pd.DataFrame()
        if len(table.columns) and len(table) != k:
            raise ValueError(f"covariates have {len(table)} rows for {k} contrasts")
        rows["var_b"] = np.where(np.isnan(rows["var_b"]), 0.0, rows["var_b"])
        rows["z_low"] = np.where(np.isnan(rows["z_low"]), -np.inf, rows["z_low"])
        rows["z_high"] = np.where(np.isnan(rows["z_high"]), np.inf, rows["z_high"])
        known = np.isfinite(rows["var_a"]) & np.isfinite(rows["n_factor"])
        made = cls(
            **rows,
            teaches=known if teaches is None else known & np.asarray(teaches, dtype=bool),
            covariates=table.to_numpy(dtype=float).reshape(k, len(table.columns)),
            names=tuple(map(str, table.columns)),
            labels=np.arange(k) if labels is None else np.asarray(labels),
        )
        made._check()
        return made

    @classmethod
    def from_frame(
        cls, frame: pd.DataFrame | Contrasts, covariates: Sequence[str] | Any = ()
    ) -> Contrasts:
        """Rows of an effects table.

        Parameters
        ----------
        frame : with the columns kind, y, var_a, var_b, n_factor, z_low, z_high, n_patients and,
            where there, cell_class, teaches_sd, derived, effect_id. `Contrasts` pass unchanged.
        covariates : names of columns of the table, or a mapping of a name to its values.
        """
        if isinstance(frame, Contrasts):
            return frame
        if frame.empty:
            return cls.of(kind=np.array([], dtype=object), y=np.array([]))
        numbers = {
            name: pd.to_numeric(frame[name]).to_numpy(dtype=float, na_value=np.nan)
            for name in ("y", "var_a", "var_b", "n_factor", "z_low", "z_high", "n_patients")
        }
        if "teaches_sd" in frame:
            teaches = frame["teaches_sd"].astype(bool).to_numpy()
        elif "derived" in frame:
            derived = frame["derived"].fillna("").astype(str)
            teaches = ~derived.str.contains("se_from_p").to_numpy()
        else:
            teaches = None
        if not hasattr(covariates, "keys"):
            covariates = {name: frame[name].to_numpy(dtype=float) for name in covariates}
        return cls.of(
            kind=frame["kind"].to_numpy(dtype=object),
            **numbers,
            teaches=teaches,
            cell_class=frame["cell_class"].to_numpy(dtype=object) if "cell_class" in frame else "",
            covariates=covariates or None,
            labels=frame["effect_id"].to_numpy() if "effect_id" in frame else frame.index,
        )

    def __len__(self) -> int:
        return self.y.size

    def rows(self, index: np.ndarray) -> Contrasts:
        """A selection of rows (an array of positions or of booleans)."""
        arrays = {
            name: getattr(self, name)[index]
            for name in self.__dataclass_fields__
            if name != "names"
        }
        return Contrasts(**arrays, names=self.names)

    @property
    def has_spread(self) -> np.ndarray:
        """Rows whose variance is printed (up to r)."""
        return np.isfinite(self.var_a)

    def with_words_se(self, factor: float) -> Contrasts:
        """The same with the standard errors of results in words multiplied by `factor`."""
        square = np.where(self.kind == "numeric", 1.0, factor**2)
        return replace(
            self,
            n_factor=self.n_factor * square,
            var_a=self.var_a * square,
            var_b=self.var_b * square,
        )

    def with_sd(self, sd: float) -> Contrasts:
        """The same with this SD of change wherever none is printed."""
        missing = ~self.has_spread
        return replace(
            self,
            var_a=np.where(missing, sd**2 * self.n_factor, self.var_a),
            var_b=np.where(missing, 0.0, self.var_b),
            teaches=self.teaches & ~missing,
        )

    def seen_log_sd(self, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log SDs of change of rows with a spread at each r, (points, k), and their variance (k,).

        The log of an SD seen in n patients has a sampling variance of about 1 / (2 (n - 1)).
        """
        variance = self.var_a - np.atleast_1d(r)[:, None] * self.var_b
        n = np.where(np.isnan(self.n_patients), 2.0, self.n_patients)
        return 0.5 * np.log(variance / self.n_factor), 0.5 / np.maximum(n - 1.0, 1.0)

    def log_se_bounds(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where the printed log SE of numbers without a spread must lie, by the bound on their p.

        z_low < y / se < z_high bounds the SE that the source used. That SE was seen in n patients,
        so that its log has a sampling SD of about sqrt(1 / (2 (n - 1))) around the one to be
        learnt, as in `seen_log_sd`.

        Returns
        -------
        low, high, width : (k,) each; -inf and inf where nothing bounds (also where the bound
        contradicts the sign of y, which says nothing of the SE).
        """
        free = (self.kind == "numeric") & ~self.has_spread & (self.y != 0)
        y = np.abs(np.where(free, self.y, 1.0))
        up = self.y > 0
        least = np.where(up, self.z_low, -self.z_high)
        most = np.where(up, self.z_high, -self.z_low)
        with np.errstate(divide="ignore", invalid="ignore"):
            high = np.where(free & (most > 0) & (least > 0), np.log(y / least), np.inf)
            low = np.where(free & (most > 0) & np.isfinite(most), np.log(y / most), -np.inf)
        n = np.where(np.isnan(self.n_patients), 2.0, self.n_patients)
        return low, high, np.sqrt(0.5 / np.maximum(n - 1.0, 1.0))

    def _check(self) -> None:
        """Raise ValueError naming every row that cannot be read."""
        known = np.array([kind in KINDS for kind in self.kind], dtype=bool)
        numeric = self.kind == "numeric"
        interval = self.kind == "interval"
        spread = self.has_spread
        at_point = (self.kind == "exact_p") | (self.kind == "two_points")
        faults = {
            f"an unknown kind of result (allowed: {', '.join(KINDS)})": ~known,
            "no value though numeric": numeric & ~np.isfinite(self.y),
            "neither a spread nor a number of patients": ~spread
            & ~(np.isfinite(self.n_factor) & (self.n_factor > 0)),
            "a variance that is not positive at every correlation": spread
            & ~(self.var_a - R_LIMIT * np.abs(self.var_b) > 0),
            "bounds on z out of order": interval & ~(self.z_low < self.z_high),
            "no z though its p-value is exact": at_point & ~np.isfinite(self.z_high),
            "a covariate that is not a number": ~np.isfinite(self.covariates).all(axis=1),
        }  # fmt: skip
        found = [
            f"{fault}: {', '.join(map(str, self.labels[rows]))}"
            for fault, rows in faults.items()
            if rows.any()
        ]
        if found:
            raise ValueError("contrasts that cannot be read: " + "; ".join(found))
