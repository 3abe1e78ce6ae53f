"""Small hand-made tables of a run, one of each that the report reads: for tests of the report.

The numbers are invented and plausible; what matters is that every column is there and that each
case a reader may meet occurs (a single study, a result in words, a lower bound, no number).
"""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.models.result import estimates_table

TRACKED = Path(__file__).resolve().parent.parent / "data" / "processed"
CLASSES = ("ahsct", "psc_islet", "msc_umbilical")
MONTHS = np.arange(0, 121, 6)


SAFETY = ("safety_summary", "safety_silent", "safety_by_strategy", "safety_controls",
          "safety_lower_bounds", "exclusions")  # fmt: skip


def write(folder: Path, effects: pd.DataFrame) -> Path:
    """A folder of results with every table: invented ones, and the tracked ones of `SAFETY`."""
    effects.to_csv(folder / "effects.csv", index=False)
    estimates().to_csv(folder / "estimates.csv", index=False)
    for name, table in tables(effects).items():
        table.to_csv(folder / f"{name}.csv", index=False)
    for name in (*(f"{name}.csv" for name in SAFETY), "manifest.json"):
        shutil.copy(TRACKED / name, folder / name)
    return folder


def tables(effects: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Every optional table by name; `effects` gives the real effect ids."""
    return {
        **_change(effects),
        **_independence(),
        **_trajectory(),
        **_settle(),
        **_sensitivity(),
        **_selection(),
        **_joint(),
        "claims": _claims(),
        "calibration": _calibration(),
    }


def estimates() -> pd.DataFrame:
    """Estimates of every kind the report looks up."""
    rows = []

    def add(outcome, estimand, mean, low, high, *, kind="all", group="all", scale="difference",
            unit="", k=4, n=90, method="nuts", note="", tau=0.3):  # fmt: skip
        rows.append({"outcome": outcome, "group_kind": kind, "group": group, "estimand": estimand,
                     "scale": scale, "unit": unit, "k_studies": k, "n_patients": n, "mean": mean,
                     "sd": (high - low) / 4, "ci_low": low, "ci_high": high, "tau": tau,
                     "pred_low": low - 0.5, "pred_high": high + 0.5, "method": method,
                     "note": note})  # fmt: skip

    scales = {"c_peptide_ratio": "log_ratio", "c_peptide_gain": "difference",
              "hba1c": "difference", "insulin_dose": "log_ratio"}  # fmt: skip
    for outcome, scale in scales.items():
        sign = -1 if outcome in ("hba1c", "insulin_dose") else 1
        for design in ("controlled", "uncontrolled"):
            for suffix in ("", "_numbers_only", "_robust"):
                add(outcome, f"mean_{design}{suffix}", 0.4 * sign, 0.4 * sign - 0.3,
                    0.4 * sign + 0.3, scale=scale)  # fmt: skip
            for method in ("nuts", "exact", "hksj"):
                add(outcome, f"mean_{design}", 0.4 * sign, 0.1 * sign - 0.3, 0.7 * sign + 0.3,
                    scale=scale, kind="design", group=design, method=method)  # fmt: skip
            for kind in ("T1D", "T2D"):
                add(outcome, f"mean_{design}", 0.3 * sign, 0.3 * sign - 0.5, 0.3 * sign + 0.5,
                    scale=scale, kind="diabetes_type", group=kind)  # fmt: skip
            add(outcome, f"p_beyond_0_{design}", 0.93, np.nan, np.nan, scale="probability")
        add(outcome, "mean_uncontrolled", 0.2 * sign, -0.5, 0.5, scale=scale, kind="cell_class",
            group="psc_islet", k=1, n=12, note="a single study: leans on the prior")  # fmt: skip
        add(outcome, "tau", 0.35, 0.02, 0.8, scale=scale)
        add(outcome, "i_squared", 47, 2, 90, scale="percent")
    add("hba1c", "p_beyond_0.3_controlled", 0.8, np.nan, np.nan, scale="probability")
    add("insulin_dose", "mean_controlled", -0.2, -0.4, 0.02, unit="IU/kg/day")
    add("hba1c", "mean_uncontrolled", -5, -6, -3.5, kind="design", group="at_diagnosis", k=2, n=35)
    for kind, group in (("all", "all"), ("cell_class", "ahsct"), ("cell_class", "psc_islet")):
        add("ever_independent", "p_ever", 0.4, 0.2, 0.7, kind=kind, group=group,
            scale="probability")  # fmt: skip
        for months, share in ((6, 0.9), (12, 0.8), (24, 0.6), (36, 0.5), (60, 0.3), (120, 0.15)):
            add("independence_survival", f"s_{months}", share, share / 2, min(1, share + 0.2),
                kind=kind, group=group, scale="probability")  # fmt: skip
        add("independence_duration", "median", 38, 18, 70, kind=kind, group=group, scale="months")
    add("safety", "death:any:rate", 3.4, 0.3, 13.9, scale="per_100_patient_years", k=2, n=42)
    return estimates_table(rows)


def _change(effects: pd.DataFrame) -> dict[str, pd.DataFrame]:
    headline = effects[effects["headline"].astype(bool) & effects["pool"].astype(bool)]
    columns = ["outcome", "effect_id", "study_id", "label", "year", "cell_class", "diabetes_type",
               "controlled", "contrast", "kind", "n_patients", "months", "y"]  # fmt: skip
    studies = headline[columns].copy()
    studies["ci_low"], studies["ci_high"] = studies["y"] - 0.4, studies["y"] + 0.4
    centre = studies["y"].fillna(-0.1)
    studies["shrunk_mean"] = centre
    studies["shrunk_low"], studies["shrunk_high"] = centre - 0.3, centre + 0.3
    x = np.linspace(-2, 2, 15)
    densities = [
        pd.DataFrame({"outcome": outcome, "group_kind": "all" if group == "all" else "cell_class",
                      "group": group, "quantity": quantity, "x": x,
                      "density": np.exp(-((x / width) ** 2)) / width})
        for outcome in ("c_peptide_ratio", "hba1c", "insulin_dose")
        for group in ("all", "bm_mnc", "msc_adipose")
        for quantity, width in (("mean", 0.4), ("predictive", 0.8), ("prior", 2.0))
    ]  # fmt: skip
    return {
        "study_estimates": studies,
        "densities": pd.concat(densities, ignore_index=True),
        "prior_posterior": pd.DataFrame(
            [{"outcome": "hba1c", "parameter": "tau_class", "prior_mean": 0.4, "prior_sd": 0.3,
              "posterior_mean": 0.35, "posterior_sd": 0.28}]
        ),
        "change_checks": pd.DataFrame(
            [{"outcome": "hba1c", "check": "posterior", "statistic": "same_words",
              "observed": np.nan, "predicted": 0.7, "pred_low": 0.5, "pred_high": 0.9,
              "tail_probability": np.nan}]
        ),
        "change_loo": pd.DataFrame(
            [{"outcome": "hba1c", "elpd": -12.3, "se": 3.1, "p": 4.2, "k_studies": 19,
              "worst_pareto_k": 0.62}]
        ),
        "change_exact": pd.DataFrame(
            [{"outcome": "hba1c", "quantity": "mu", "statistic": "mean", "nuts": -0.7801,
              "exact": -0.7799, "mcse": 0.004, "difference_in_mcse": -0.05, "k_studies": 4}]
        ),
    }  # fmt: skip


def _independence() -> dict[str, pd.DataFrame]:
    ever = pd.DataFrame(
        [
            {"study_id": f"s{i}", "label": f"Author {2000 + i}", "cohort": f"c{i}",
             "cell_class": cell_class, "diabetes_type": "T1D", "design": "single_arm", "k": k,
             "n": n, "bound": bound, "k_control": 0 if i == 1 else np.nan,
             "n_control": 10 if i == 1 else np.nan, "shrunk_mean": 0.4, "shrunk_low": 0.2,
             "shrunk_high": 0.6, "source_rows": "independence:2"}
            for i, (cell_class, k, n, bound) in enumerate(
                [("ahsct", 20, 23, "exact"), ("ahsct", 0, 8, "exact"), ("psc_islet", 10, 12,
                 "at_least"), ("msc_umbilical", 5, 5, "exact")])
        ]
    )  # fmt: skip
    curves = pd.DataFrame(
        [
            {"group_kind": "all" if group == "all" else "cell_class", "group": group,
             "population": population, "family": family, "months": months, "mean": s,
             "ci_low": s / 2, "ci_high": min(1, s * 1.4), "beyond_data": months > 60}
            for group in ("all", "ahsct", "psc_islet")
            for population in ("given_ever", "all_treated")
            for family, rate in (("average", 0.02), ("weibull", 0.018), ("gompertz", 0.025))
            for months in MONTHS
            for s in [np.exp(-rate * months)]
        ]
    )  # fmt: skip
    families = pd.DataFrame(
        [{"group_kind": "all", "group": "all", "family": family, "weight": weight, "elpd": -40,
          "elpd_se": 5, "s_12": 0.8, "s_60": 0.3, "s_120": last, "median": 35}
         for family, weight, last in (("weibull", 0.7, 0.12), ("gompertz", 0.3, 0.25))]
    )  # fmt: skip
    swimmer = pd.DataFrame(
        [{"study_id": f"s{i}", "label": f"Author {2000 + i}", "cell_class": "ahsct",
          "patient_label": f"p{j}", "months": 6.0 * (j + 1), "status": status,
          "sampling": sampling, "bound": "exact", "used_in_model": sampling == "all"}
         for i, sampling in enumerate(("all", "best"))
         for j, status in enumerate(("resumed", "ongoing", "censored", "died"))]
    )  # fmt: skip
    return {
        "ever_facts": ever,
        "ever_contrasts": ever[ever["n_control"].notna()],
        "ever_moderators": pd.DataFrame(
            [{"term": "conditioning", "label": "conditioning (against none)", "log_odds_mean": 1.2,
              "ci_low": -0.1, "ci_high": 2.6, "prior_sd": 1.0, "k_with": 8, "n_with": 150}]
        ),
        "durability_curve": curves,
        "durability_landmarks": pd.DataFrame(
            [{"study_id": "s0", "label": "Author 2000", "cell_class": "ahsct", "months": 36.0,
              "k": 12, "n": 20, "share": 0.6, "ci_low": 0.36, "ci_high": 0.81}]
        ),
        "durability_families": families,
        "durability_extrapolation": pd.DataFrame(
            [{"group_kind": kind, "group": group, "longest_observed_months": longest,
              "k_studies": k, "n_patients": 60, "share_rmst60_beyond": 0.1,
              "share_rmst120_beyond": 0.4}
             for kind, group, longest, k in (("all", "all", 106, 9),
                                             ("cell_class", "ahsct", 106, 7),
                                             ("cell_class", "psc_islet", 12, 1))]
        ),
        "swimmer": swimmer,
    }  # fmt: skip


def _trajectory() -> dict[str, pd.DataFrame]:
    curve = pd.DataFrame(
        [{"outcome": outcome, "months": float(t), "mean": 0.3, "ci_low": 0.0, "ci_high": 0.6,
          "pred_low": -0.5, "pred_high": 1.1, "k_studies": max(9 - t // 12, 0),
          "k_near": max(5 - t // 12, 0)}
         for outcome in ("c_peptide_ratio", "hba1c") for t in range(1, 61)]
    )  # fmt: skip
    points = pd.DataFrame(
        [{"outcome": outcome, "study_id": "s0", "label": "Author 2000", "cell_class": "ahsct",
          "months": t, "y": 0.2, "ci_low": 0.0, "ci_high": 0.4}
         for outcome in ("c_peptide_ratio", "hba1c") for t in (3, 12, 24)]
    )  # fmt: skip
    left = pd.DataFrame(
        [{"outcome": outcome, "months": t, "fraction_mean": 0.7, "ci_low": 0.3, "ci_high": 1.1,
          "k_studies": k, "n_patients": 20 * k, "note": "" if k else "no study looks this far"}
         for outcome in ("c_peptide_ratio", "hba1c") for t, k in ((24, 5), (36, 3), (60, 0))]
    )  # fmt: skip
    summary = pd.DataFrame(
        [{"outcome": "hba1c", "quantity": "half_life", "unit": "months", "median": 40.0,
          "ci_low": 12.0, "ci_high": 200.0, "k_studies": 14, "note": "mostly its prior"}]
    )  # fmt: skip
    return {"trajectory_curve": curve, "trajectory_points": points, "trajectory_remaining": left,
            "trajectory_summary": summary}  # fmt: skip


def _settle() -> dict[str, pd.DataFrame]:
    durable = "loss_of_independence_5_years"
    curves = pd.DataFrame(
        [{"harm": harm, "relation": relation, "group": "all", "threshold": threshold, "unit": unit,
          "patients": n, "years": y, "patient_years": n * y, "assurance": min(1, n * y / 5000)}
         for harm, relation, threshold, unit in (("death", "any", 1.0, "per 100 patient-years"),
                                                 (durable, "", 0.2, "width"))
         for n in (10, 100, 1000) for y in (1, 5)]
    )  # fmt: skip
    summary = pd.DataFrame(
        [
            {"harm": "death", "relation": "any", "group": "all", "threshold": 1.0,
             "unit": "per 100 patient-years", "k_studies": 2, "n_patients": 42, "bound_now": 10.2,
             "probability_under_threshold": 0.2, "assurance_wanted": 0.8, "needed": np.nan,
             "needed_unit": "patient-years", "needed_if_no_event": 300.0,
             "verdict": "never: too little probability under the threshold"},
            {"harm": "malignancy_or_tumour", "relation": "any", "group": "all", "threshold": 1.0,
             "unit": "per 100 patient-years", "k_studies": 2, "n_patients": 34, "bound_now": 4.7,
             "probability_under_threshold": 0.9, "assurance_wanted": 0.8, "needed": 1200.0,
             "needed_unit": "patient-years", "needed_if_no_event": 300.0, "verdict": "reachable"},
            {"harm": durable, "relation": "", "group": "all", "threshold": 0.2,
             "unit": "width of the 95 % interval", "k_studies": 9, "n_patients": 60,
             "bound_now": 0.35, "probability_under_threshold": np.nan, "assurance_wanted": 0.8,
             "needed": 70.0, "needed_unit": "independent patients followed for five years",
             "needed_if_no_event": np.nan, "verdict": "reachable"},
        ]
    )  # fmt: skip
    value = pd.DataFrame(
        [{"outcome": "hba1c", "estimand": "mean_controlled", "scale": "difference",
          "unit": "percentage points", "group": "bm_mnc", "k_studies": 2, "n_patients": 139,
          "width_now": 1.4, "typical_se": 0.35, "tau": 0.35, "width_after": 1.2, "reduction": 0.2,
          "reduction_of_perfect_trial": 0.4}]
    )  # fmt: skip
    return {"evidence_needed": curves, "evidence_needed_summary": summary,
            "next_trial_value": value}  # fmt: skip


def _sensitivity() -> dict[str, pd.DataFrame]:
    outcomes = ("hba1c", "c_peptide_ratio")
    base = {"mean": -0.5, "ci_low": -1.0, "ci_high": 0.1, "tau": 0.3, "k_studies": 3,
            "n_patients": 120, "design": "controlled"}  # fmt: skip
    specs = pd.DataFrame(
        [{"outcome": outcome, "spec": i, "design": design, "words": words, "r": 0.4,
          "mean": mean, "ci_low": mean - 0.4, "ci_high": mean + 0.4, "k_studies": 4,
          "n_patients": 165, "conclusion": "good" if mean < -0.4 else "open"}
         for outcome in outcomes
         for i, mean in enumerate(np.linspace(-1, 0, 40))
         for design, words in ((("controlled", "left_out"), ("both", "null_zero"))[i % 2],)]
    )  # fmt: skip
    summary = pd.DataFrame(
        [{"outcome": outcome, "design": design, "n_specs": 40, "n_too_few": 3, "n_usable": 37,
          "share_good_clear": 0.6, "share_harm_clear": 0.0, "min": -1.0, "max": 0.0,
          "most_influential": "missing_spread", "variance_explained": 0.34}
         for outcome in outcomes for design in ("all", "controlled")]
    )  # fmt: skip
    return {
        "leave_one_out": pd.DataFrame(
            [{**base, "outcome": outcome, "left_out": f"s{i}", "label": f"Author {2000 + i}",
              "kind": "study", "mean": mean} for outcome in outcomes
             for i, mean in enumerate((-0.6, -0.3, np.nan))]
        ),
        "cumulative": pd.DataFrame(
            [{**base, "outcome": outcome, "year": 2000 + i, "label": f"Author {2000 + i}"}
             for outcome in outcomes for i in range(3)]
        ),
        "prior_grid": pd.DataFrame(
            [{**base, "outcome": outcome, "mu_prior_sd": sd, "tau_prior": tau, "p_good": 0.9}
             for outcome in outcomes for sd in (0.5, 2.0) for tau in ("half_normal", "zero")]
        ),
        "bias_to_nullify": pd.DataFrame(
            [{**base, "outcome": "hba1c", "e_value_mean": 3.1, "e_value_interval": 1.0,
              "statement": "A bias of -0.80 percentage points would bring the mean to zero"}]
        ),
        "multiverse": specs,
        "multiverse_summary": summary,
        "multiverse_choices": pd.DataFrame(
            [{"outcome": "hba1c", "choice": "words", "level": "left_out", "n": 20,
              "share_good_clear": 0.7, "median_mean": -0.6, "range": 0.2,
              "variance_explained": 0.1}]
        ),
        "multiverse_levels": pd.DataFrame(
            [{"outcome": "hba1c", "choice": "words", "level": "left_out",
              "meaning": "results in words left out", "default": True, "k_most": 4,
              "offered": True}]
        ),
    }  # fmt: skip


def _selection() -> dict[str, pd.DataFrame]:
    row = {"outcome": "hba1c", "k_studies": 4, "n_patients": 165, "bf_effect": 1.5,
           "bf_heterogeneity": 2e10, "bf_bias": 0.4, "mean": -0.38, "ci_low": -1.1, "ci_high": 0.01,
           "mean_unadjusted": -0.66}  # fmt: skip
    none = dict.fromkeys(("bf_effect", "bf_heterogeneity", "bf_bias", "mean", "ci_low", "ci_high",
                          "mean_unadjusted"), np.nan)  # fmt: skip
    return {
        "bias_summary": pd.DataFrame(
            [{**row, "design": "controlled", "statement": "4 studies: these models say little"},
             {**row, **none, "design": "uncontrolled", "k_studies": 1,
              "statement": "a single study: no answer"}]
        ),
        "small_study": pd.DataFrame(
            [{"outcome": "hba1c", "design": "controlled", "test": "egger", "estimate": np.nan,
              "ci_low": np.nan, "ci_high": np.nan, "p_value": np.nan, "k_studies": 2,
              "k_filled": np.nan, "note": "needs at least 3 studies"}]
        ),
        "funnel": pd.DataFrame(
            [{"outcome": outcome, "design": design, "study_id": "s", "label": "Author", "y": -0.4,
              "se": se, "filled": filled}
             for outcome in ("hba1c", "c_peptide_ratio")
             for design, se, filled in (("controlled", 0.2, False), ("controlled", 0.5, True),
                                        ("uncontrolled", 0.3, False))]
        ),
    }  # fmt: skip


def _joint() -> dict[str, pd.DataFrame]:
    numbers = {"mean": 0.2, "sd": 0.1, "ci_low": 0.0, "ci_high": 0.4}
    row = {f"{name}_{suffix}": value for name, value in numbers.items()
           for suffix in ("joint", "alone")}  # fmt: skip
    return {
        "joint_summary": pd.DataFrame(
            [{"parameter": "rho", **numbers, "prior_mean": 0.0, "prior_sd": 0.4}]
        ),
        "joint_estimates": pd.DataFrame(
            [{"outcome": "c_peptide_gain", "design": "controlled", "k_studies": 8,
              "n_patients": 211, **row, "k_both": 5,
              "statement": "fitting both together changes nothing: the mean moves by -0.05 SDs"}]
        ),
    }  # fmt: skip


def _claims() -> pd.DataFrame:
    verdicts = ("well supported", "supported", "suggested", "uncertain", "doubtful",
                "contradicted", "not known")  # fmt: skip
    return pd.DataFrame(
        [{"claim": f"Claim number {i} about cells that do a great deal for many people",
          "short": f"claim {i}", "estimand": "hba1c", "threshold": "below 0", "verdict": verdict,
          "probability": np.nan if verdict == "not known" else 1 - i / 6,
          "k_studies": 0 if verdict == "not known" else i + 1,
          "n_patients": 0 if verdict == "not known" else 10 * i + 10,
          "evidence": "a number", "caveat": "few studies"} for i, verdict in enumerate(verdicts)]
    )  # fmt: skip


def _calibration() -> pd.DataFrame:
    return pd.DataFrame(
        [{"model": model, "parameter": parameter, "method": "nuts", "n_replicates": 200,
          "n_gate": 0, "n_divergent": 0, "draws": 400, "chi2_p": 0.4, "ecdf_p": 0.5,
          "coverage_50": 0.5, "coverage_90": 0.91, "coverage_95": 0.94,
          "histogram": ";".join(["10"] * 20)}
         for model in ("change", "safety") for parameter in ("mu", "tau")]
    )  # fmt: skip
