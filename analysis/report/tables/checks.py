"""Tables of the methods and the appendix: priors, diagnostics, checks, versions."""

from __future__ import annotations

import pandas as pd

from analysis import priors as prior_table
from analysis.patient_level import TELLINGS
from analysis.report.outcomes import OUTCOMES
from analysis.report.results import Results
from analysis.report.tables.base import Table, grid, made_from
from analysis.report.words import count, interval, number, percent


def _label(outcome: str) -> str:
    return OUTCOMES[outcome].label if outcome in OUTCOMES else outcome.replace("_", " ")


def priors() -> Table:
    """Every prior with its reason."""
    table = prior_table.table().map(lambda value: str(value).replace("_", " "))
    table.columns = [name.capitalize() for name in table.columns]
    return grid(table)


@made_from("prior_posterior")
def prior_posterior(results: Results) -> Table:
    """Prior beside posterior of the shared parameters: where they agree, the data are silent."""
    rows = [
        {
            "Outcome": _label(row.outcome),
            "Parameter": row.parameter.replace("_", " "),
            "Prior mean (SD)": f"{number(row.prior_mean)} ({number(row.prior_sd)})",
            "Posterior mean (SD)": f"{number(row.posterior_mean)} ({number(row.posterior_sd)})",
            "SD left": number(row.posterior_sd / row.prior_sd),
        }
        for row in results.rows("prior_posterior").itertuples()
    ]
    return grid(pd.DataFrame(rows), ("SD left",))


@made_from("change_checks")
def predictive(results: Results) -> Table:
    """Would the model have produced such studies: before and after seeing them."""
    rows = [
        {
            "Outcome": _label(row.outcome),
            "Check": f"{row.check} predictive",
            "Statistic": row.statistic.replace("_", " "),
            "Observed": number(row.observed),
            "Predicted, 95 %": f"{number(row.predicted)} ({interval(row.pred_low, row.pred_high)})",
            "P (replicated ≥ observed)": number(row.tail_probability),
        }
        for row in results.rows("change_checks").itertuples()
    ]
    return grid(pd.DataFrame(rows), ("Observed", "P (replicated ≥ observed)"))


@made_from("change_loo")
def leave_one_out_scores(results: Results) -> Table:
    """How well a study is predicted by the others (PSIS-LOO)."""
    rows = [
        {
            "Outcome": _label(row.outcome),
            "k": count(row.k_studies),
            "elpd": number(row.elpd, 1),
            "SE": number(row.se, 1),
            "Effective parameters": number(row.p, 1),
            "Worst Pareto k": number(row.worst_pareto_k),
        }
        for row in results.rows("change_loo").itertuples()
    ]
    return grid(pd.DataFrame(rows), ("k", "elpd", "SE", "Effective parameters",
                                         "Worst Pareto k"))  # fmt: skip


@made_from("change_exact")
def exact(results: Results) -> Table:
    """NUTS against the exact posterior on the model both can fit."""
    rows = [
        {
            "Outcome": _label(row.outcome),
            "Quantity": f"{row.statistic} of {row.quantity}",
            "NUTS": number(row.nuts, 4),
            "Exact": number(row.exact, 4),
            "Monte-Carlo error": number(row.mcse, 4),
            "Apart, in errors": number(row.difference_in_mcse, 1),
            "k": count(row.k_studies),
        }
        for row in results.rows("change_exact").itertuples()
    ]
    return grid(pd.DataFrame(rows), ("NUTS", "Exact", "Monte-Carlo error",
                                         "Apart, in errors", "k"))  # fmt: skip


def diagnostics(results: Results) -> Table:
    """Every fit and the worst of its diagnostics."""
    rows = [
        {
            "Fit": name.replace("_", " "),
            "R-hat": number(_known(figures["max_rhat"]), 3),
            "Bulk ESS": count(_known(figures["min_ess_bulk"])),
            "Tail ESS": count(_known(figures["min_ess_tail"])),
            "Divergences": count(figures["divergences"]),
            "Used": "withheld" if figures.get("withheld") else "yes",
        }
        for stage in results.manifest.get("stages", {}).values()
        for name, figures in stage["fits"].items()
    ]
    return grid(pd.DataFrame(rows), ("R-hat", "Bulk ESS", "Tail ESS", "Divergences"))


def _known(figure: float | None) -> float:
    return float("nan") if figure is None else figure


def versions(results: Results) -> Table:
    """What the numbers were made with."""
    manifest = results.manifest
    rows = {
        "isletmeta": manifest.get("isletmeta"),
        "Python": manifest.get("python"),
        **manifest.get("packages", {}),
        "seed": manifest.get("seed"),
        "code digest": manifest.get("code"),
        "lock digest": manifest.get("lock"),
        **{f"data/raw/{name}": digest[:16] for name, digest in manifest.get("data", {}).items()},
    }
    known = {what: str(value) for what, value in rows.items() if value is not None}
    return grid(pd.DataFrame({"What": list(known), "Value": list(known.values())}))


def patient_level(results: Results) -> Table:
    """The same simulated patients told in different ways: coverage, width and error of S(t)."""
    rows = [
        {
            "Study told as": TELLINGS.get(row.telling, row.telling),
            "Month": count(row.months),
            "95 % band held the truth": percent(row.coverage_95),
            "Band, times as wide": number(row.width_ratio),
            "Error, times as large": number(row.rmse_ratio),
            "Bias, points of 100": number(100 * row.bias, 1),
            "Simulated": count(row.n_replicates),
        }
        for row in results.patient_level().itertuples()
    ]
    numeric = ("Month", "95 % band held the truth", "Band, times as wide",
               "Error, times as large", "Bias, points of 100", "Simulated")  # fmt: skip
    return grid(pd.DataFrame(rows), numeric)


def calibration(results: Results) -> Table:
    """Simulation-based calibration: how often intervals hold the true value, and two tests."""
    rows = [
        {
            "Model": row.model.replace("_", " "),
            "Quantity": row.parameter.replace("_", " "),
            "Simulated": count(row.n_replicates),
            "In 50 % intervals": percent(row.coverage_50),
            "In 90 %": percent(row.coverage_90),
            "In 95 %": percent(row.coverage_95),
            "P (uniform ranks)": number(row.ecdf_p),
        }
        for row in results.calibration().itertuples()
    ]
    return grid(pd.DataFrame(rows), ("Simulated", "In 50 % intervals", "In 90 %", "In 95 %",
                                         "P (uniform ranks)"))  # fmt: skip
