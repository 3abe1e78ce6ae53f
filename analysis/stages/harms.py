"""Harms told straight: every death and serious infection named, counts, rates, silence, bounds.

Exact counts and lower bounds stand side by side, of any cause apart from judged related. Rates come
from the Poisson-normal model by quadrature, approach by approach; bounds from the data alone know
no prior and no shrinkage. A cohort that says nothing of a harm is named as silent: unknown, not
zero. What would settle a harm is the patient-years until its bound falls under a threshold.
"""

from __future__ import annotations

import re
from itertools import product

import numpy as np
import pandas as pd
from scipy import special

from analysis import cohorts, exact, outcomes, priors, vocabulary
from analysis.central import HIGH, central_of_draws
from analysis.counting import harm_facts
from analysis.evidence import Evidence, label_of
from analysis.evidence.references import reference, renamed
from analysis.exact import bounds
from analysis.questions import APPROACHES
from analysis.records import records
from analysis.results import ALL
from analysis.stages.result import StageResult, Tell, stage_result

FATAL = re.compile(r"(?<!non-)(?<!non )(?<!not )(?<!no )(?<!near-)\bfatal", re.IGNORECASE)
"""What a source calls fatal; "non-fatal", "nonfatal" and "not fatal" are not."""
NO_RATE = ("serious_adverse_event", "procedure_related", "graft_loss")
"""Counted and shown, but without a rate: nearly every statement is a zero or of a moment."""
JUDGE = re.compile(r"(?:judgement of|by) the (investigators|sponsor)")
"""Who judged, as the text of an event says it (data/raw/README.md)."""
THRESHOLDS = {
    event: outcomes.get(f"{outcomes.HARM}_{event}").important[0]
    for event in vocabulary.GRAVE_EVENTS
}
"""Rates per 100 patient-years to fall under."""
LEVELS = (HIGH, 0.95)
RELATIONS = ("any", "treatment_related")
PER = 100.0
FEWEST = 2
MOST_ADDED, STEPS = 5000.0, 24


def run(evidence: Evidence, *, progress: Tell = lambda part: None) -> StageResult:
    """Every harm of every approach.

    Returns
    -------
    StageResult with estimates (rate, rate_bound, rate_below, pooled_rate) and the tables
    harm_facts, harm_events, harm_summary, harm_controls, harm_exclusions, evidence_needed.
    """
    progress("counting")
    counted = harm_facts.table(evidence)
    facts = facts_of(evidence, counted.rows)
    rows: list[dict] = []
    needed: list[dict] = []
    for event in vocabulary.EVENT_CATEGORIES:
        if event in harm_facts.NOT_COUNTED:
            continue
        progress(event)
        for relation in RELATIONS:
            for approach in APPROACHES:
                own = facts[
                    facts["event"].eq(event) & facts["relation"].eq(relation)
                    & facts["approach"].eq(approach) & facts["arm"].eq("treated")
                ]  # fmt: skip
                if own.empty:
                    continue
                made, shrunk = rates(event, relation, approach, own)
                rows += made
                columns = ["shrunk_median", "shrunk_low", "shrunk_high"]
                if shrunk is not None:
                    facts.loc[shrunk.index, columns] = shrunk.to_numpy()
    for event in THRESHOLDS:
        for approach in APPROACHES:
            own = facts[
                facts["event"].eq(event) & facts["relation"].eq("any")
                & facts["approach"].eq(approach) & facts["arm"].eq("treated")
            ]  # fmt: skip
            needed += evidence_needed(event, approach, own)
    tables = {
        "harm_facts": facts.drop(columns="patients"),
        "harm_events": events(evidence),
        "harm_summary": summary(evidence, facts),
        "harm_controls": controls(facts),
        "harm_exclusions": _exclusions(evidence, counted.exclusions),
        "evidence_needed": needed,
    }
    return stage_result(rows, tables)


def facts_of(evidence: Evidence, counted: pd.DataFrame) -> pd.DataFrame:
    """Countable harms, and lower bounds of any cause that follow from those judged."""
    rows = pd.concat([counted, harm_facts.implied(evidence, counted)], ignore_index=True)
    rows = pd.concat([rows, harm_facts.serious(evidence, rows)], ignore_index=True)
    studies = evidence.studies
    strata = cohorts.strata(studies).set_index(studies["study_id"].to_numpy())
    by_id = studies.set_index("study_id", drop=False)
    made = pd.DataFrame({
        "event": rows["event_category"], "relation": rows["relation"],
        "approach": rows["study_id"].map(strata["approach"]),
        "population": rows["study_id"].map(strata["population"]),
        "study_id": rows["study_id"], "cohort": rows["cohort"],
        "label": [label_of(by_id.loc[study]) for study in rows["study_id"]],
        "cell_class": rows["cell_class"], "strategy": rows["strategy"], "arm": rows["arm"],
        "bound": rows["bound"], "k": rows["events"], "n": rows["n_at_risk"],
        "months": rows["months"], "patient_years": rows["patient_years"],
        "shrunk_median": np.nan, "shrunk_low": np.nan, "shrunk_high": np.nan,
        "source_rows": [renamed(evidence, names) for names in rows["source_rows"]],
        "patients": rows["study_id"].map(cohorts.patient_groups(studies)),
    })  # fmt: skip
    return made[made["approach"].isin(APPROACHES)].reset_index(drop=True)


def rates(
    event: str, relation: str, approach: str, facts: pd.DataFrame
) -> tuple[list[dict], pd.DataFrame | None]:
    """Estimates of one harm of one approach, and each cohort's rate given the others."""
    usable = facts[facts["patient_years"].gt(0)]
    precise = usable[usable["bound"].eq("exact")]
    base = {"outcome": f"{outcomes.HARM}_{event}", "approach": approach,
            "scale": outcomes.RATE, "unit": "per 100 patient-years"}  # fmt: skip
    rows: list[dict] = []
    related = {"variant": "related"} if relation == "treatment_related" else {}
    if len(precise):
        alone = bounds.rate_from_data_alone(precise["k"], precise["patient_years"], per=PER)
        own = {**base, **related, "k_studies": len(precise), "n_patients": precise["n"].sum()}
        note = (f"{alone['events']:.0f} events in {alone['exposure']:.0f} patient-years; exact, no "
                "prior, no shrinkage")  # fmt: skip
        rows.append({**own, "quantity": "pooled_rate", "mean": alone["rate"],
                     "median": alone["rate"], "ci_low": alone["ci_low"],
                     "ci_high": alone["ci_high"], "note": note})  # fmt: skip
        rows += [
            {**own, "quantity": "rate_bound", "threshold": level, "mean": bound, "median": bound,
             "note": "one-sided upper bound from the data alone"}
            for level, bound in zip(LEVELS, (alone["upper975"], alone["upper95"]), strict=True)
        ]  # fmt: skip
    if event in NO_RATE:
        return rows, None
    shrunk = None
    variants = [("related", precise)] if related else [("headline", precise)]
    if not related and len(usable) > len(precise):
        variants.append(("with_bounds", usable))
    for variant, part in variants:
        if len(part) < FEWEST:
            continue
        post = fit_rate(part)
        rate, new = post.mean_study, post.new_study
        low, high = rate.interval()
        pred_low, pred_high = new.interval()
        own = {**base, "variant": variant, "k_studies": len(part), "n_patients": part["n"].sum()}
        rows.append({**own, "quantity": "rate", "mean": rate.mean, "median": rate.median,
                     "sd": rate.sd, "ci_low": low, "ci_high": high, "pred_low": pred_low,
                     "pred_high": pred_high,
                     "tau": post.tau.median if post.tau is not None else np.nan})  # fmt: skip
        if event in THRESHOLDS:
            limit = THRESHOLDS[event]
            rows.append({**own, "quantity": "rate_below", "threshold": limit,
                         "scale": "probability", "unit": "probability",
                         "mean": float(rate.cdf(limit))})  # fmt: skip
        if variant == "headline":
            shrunk = post.shrinkage[["median", "ci_low", "ci_high"]].set_index(part.index)
    return rows, shrunk


def posteriors(evidence: Evidence) -> dict[str, exact.CountPosterior]:
    """The rates of `THRESHOLDS` that are headlines, from any cause, by event and approach."""
    facts = facts_of(evidence, harm_facts.table(evidence).rows)
    facts = facts[facts["relation"].eq("any") & facts["arm"].eq("treated")
                  & facts["event"].isin(THRESHOLDS)]  # fmt: skip
    precise = facts[facts["patient_years"].gt(0) & facts["bound"].eq("exact")]
    return {
        f"{event} {approach}": fit_rate(own)
        for (event, approach), own in precise.groupby(["event", "approach"])
        if len(own) >= FEWEST
    }


def fit_rate(facts: pd.DataFrame) -> exact.CountPosterior:
    """The posterior of the rate of a harm: columns k, n, patient_years and bound."""
    mu, tau = (priors.get("safety", name) for name in ("mu", "tau"))
    return exact.fit_rates(
        facts["k"], facts["patient_years"], patients=facts["n"],
        mu_prior=exact.Normal(*mu.params), tau_prior=exact.HalfNormal(tau.scale),
        at_least=facts["bound"].eq("at_least"), per=PER,
    )  # fmt: skip


def events(evidence: Evidence) -> list[dict]:
    """Every named death, severe infection and malignancy of treated patients, none twice.

    Of reports on the same patients the one with most events speaks, then the latest.
    """
    studies = evidence.studies.set_index("study_id", drop=False)
    groups = cohorts.patient_groups(evidence.studies)
    strata = cohorts.strata(evidence.studies).set_index(evidence.studies["study_id"].to_numpy())
    rows = evidence.safety
    rows = rows[rows["event_category"].isin(vocabulary.GRAVE_EVENTS) & rows["n_patients"].gt(0)]
    rows = rows[rows["study_id"].map(studies["include"]).isin(["yes", "context"])]
    rows = rows[~rows["arm"].str.startswith("control")]
    rows = rows.assign(
        patients=rows["study_id"].map(groups), year=rows["study_id"].map(studies["year"])
    )
    most = rows.groupby(["patients", "event_category", "study_id"])["n_patients"].transform("sum")
    rows = rows.assign(_most=most).sort_values(
        ["event_category", "patients", "_most", "year", "study_id"],
        ascending=[True, True, False, False, True], kind="stable",
    )  # fmt: skip
    first = rows.groupby(["event_category", "patients"])["study_id"].transform("first")
    rows = rows[rows["study_id"] == first]
    made = []
    for row in rows.to_dict("records"):
        study = studies.loc[row["study_id"]]
        detail = str(row["event_detail"]) or vocabulary.EVENT_CATEGORIES[row["event_category"]]
        relation, by = judgement(evidence, row, study)
        if row["arm"].startswith("all"):
            detail += " (of treated patients and controls together; whose is not told)"
        fatal = row["event_category"] == "death" or FATAL.search(detail) is not None
        approach = strata.loc[row["study_id"], "approach"]
        n = row["n_at_risk"] if row["n_at_risk"] > 0 else study["n_treated"]
        made.append({
            "event": row["event_category"],
            "approach": approach if approach in APPROACHES else ALL,
            "population": strata.loc[row["study_id"], "population"],
            "study_id": row["study_id"], "cohort": study["cohort"], "label": label_of(study),
            "k": row["n_patients"], "n": n, "what": detail, "fatal": "yes" if fatal else "no",
            "relation": relation, "judged_by": by,
            "eligible": study["include"], "source_rows": reference("safety", row),
        })  # fmt: skip
    return made


def judgement(evidence: Evidence, row: dict, study: pd.Series) -> tuple[str, str]:
    """How a grave event was judged, and by whom; ("any", "") where nobody says.

    A death or severe infection is a serious adverse event: where its report counts none of these as
    related to the cells, this one was judged unrelated to them, which says nothing of the drugs
    that hold back the immune system.
    """
    if row["relation"] != "any":
        return row["relation"], "the source"
    rows = evidence.safety
    said = rows[
        rows["study_id"].eq(row["study_id"]) & rows["event_category"].eq("serious_adverse_event")
        & rows["relation"].eq("treatment_related") & ~rows["arm"].str.startswith("control")
    ]  # fmt: skip
    whole = (
        said["n_at_risk"].ge(row["n_at_risk"]).all()
    )  # a part of the patients says nothing of all
    if said.empty or said["n_patients"].ne(0).any() or not whole:
        return "any", ""
    who = JUDGE.search(" ".join(said["event_detail"].astype(str)))
    drugs = harm_facts.strategy(study["immune_strategy"]) == "immunosuppression"
    by = f"the {who[1]}, as far as the cells go" if who else "the source, as far as the cells go"
    return "unrelated", f"{by}; nothing is said of immunosuppression" if drugs else by


def summary(evidence: Evidence, facts: pd.DataFrame) -> list[dict]:
    """Each harm of each approach: stated exactly, as a lower bound, by nobody; and the bounds.

    A group that speaks of the event with the other relation only ("no related death" where any
    cause is asked) is neither counted nor silent: it stands apart as `other`.
    """
    studies = evidence.studies.set_index("study_id", drop=False)
    eligible = records(harm_facts.patient_table(evidence).reset_index())
    groups = cohorts.patient_groups(evidence.studies)
    names: dict[str, str] = {}
    approaches: dict[str, str] = {}
    for study_id, group in groups.items():
        study = studies.loc[study_id]
        if study["include"] == "yes" and (group not in names or study["cohort_role"] == "primary"):
            names[group] = label_of(study)
            approaches[group] = cohorts.approach(study["cell_class"])
    treated = records(facts[facts["arm"].eq("treated")])
    made = []
    for event, relation, approach in product(vocabulary.EVENT_CATEGORIES, RELATIONS, APPROACHES):
        if event in harm_facts.NOT_COUNTED:
            continue
        told = [row for row in treated if row["event"] == event and row["approach"] == approach]
        own = [row for row in told if row["relation"] == relation]
        precise, at_least = ([row for row in own if row["bound"] == word]
                             for word in ("exact", "at_least"))  # fmt: skip
        timed = [row for row in precise if row["patient_years"] > 0]
        alone = bounds.rate_from_data_alone(
            [row["k"] for row in timed], [row["patient_years"] for row in timed], per=PER
        )
        counted = {row["patients"] for row in own}
        heard = {row["patients"] for row in told}
        rest = [row for row in eligible if approaches.get(row["patients"]) == approach
                and row["patients"] not in counted]  # fmt: skip
        quiet = [row for row in rest if row["patients"] not in heard]
        other = [row for row in rest if row["patients"] in heard]
        made.append({
            "event": event, "relation": relation, "approach": approach,
            "k_cohorts": len(precise), "n_patients": _total(precise, "n"),
            "events": _total(precise, "k"), "k_at_least": len(at_least),
            "n_at_least": _total(at_least, "n"), "events_at_least": _total(at_least, "k"),
            "patient_years": _total(timed, "patient_years"), "k_silent": len(quiet),
            "n_silent": _total(quiet, "n_at_risk"),
            "silent": ";".join(sorted(names[row["patients"]] for row in quiet)),
            "k_other": len(other), "n_other": _total(other, "n_at_risk"),
            "other": ";".join(sorted(names[row["patients"]] for row in other)),
            "upper_95": alone["upper95"], "upper_975": alone["upper975"],
            "source_rows": ";".join(row["source_rows"] for row in own),
        })  # fmt: skip
    return made


def _total(rows: list[dict], name: str) -> float:
    """The sum of what is known."""
    return float(np.nansum([row[name] for row in rows]))


def controls(facts: pd.DataFrame) -> list[dict]:
    """Harms counted in both arms of one cohort: risk difference (Jeffreys, by quadrature)."""
    made = []
    for (event, relation, cohort), part in facts.groupby(["event", "relation", "cohort"]):
        arms = {arm: rows.iloc[0] for arm, rows in part.groupby("arm")}
        if set(arms) != {"treated", "control"}:
            continue
        treated, control = arms["treated"], arms["control"]
        u = (np.arange(801) + 0.5) / 801
        p1, p0 = (
            special.betaincinv(row["k"] + 0.5, row["n"] - row["k"] + 0.5, u)
            for row in (treated, control)
        )
        difference = central_of_draws(p1[:, None] - p0[None, :])
        made.append({
            "event": event, "relation": relation, "cohort": cohort,
            "study_id": treated["study_id"], "label": treated["label"],
            "approach": treated["approach"], "k": treated["k"], "n": treated["n"],
            "k_control": control["k"], "n_control": control["n"],
            "risk_difference": difference.median, "rd_low": difference.low,
            "rd_high": difference.high,
            "source_rows": f"{treated['source_rows']};{control['source_rows']}",
        })  # fmt: skip
    return made


def evidence_needed(event: str, approach: str, facts: pd.DataFrame) -> list[dict]:
    """Patient-years without a further event until the bound is under the threshold.

    From the data alone: -ln(1 - level) / threshold in all where nothing was seen, more where
    something was. Where nobody counted exactly, nothing was observed: all is still needed, and
    there is no bound. With differences between studies: the bound of a typical study, by the model.
    """
    precise = facts[facts["bound"].eq("exact") & facts["patient_years"].gt(0)]
    limit = THRESHOLDS[event]
    k, years = precise["k"].sum(), precise["patient_years"].sum()
    base = {"event": event, "approach": approach, "threshold": limit, "events": k,
            "patient_years": years}  # fmt: skip
    made = []
    for level in LEVELS:
        in_all = float(bounds.exposure_in_all(limit / PER, k, level))
        now = PER * float(bounds.upper_rate(k, years, level)) if years > 0 else np.nan
        made.append({**base, "level": level, "basis": "data_alone", "bound_now": now,
                     "needed_in_all": in_all, "needed_more": max(0.0, in_all - years)})  # fmt: skip
    if len(precise) >= FEWEST:
        made.append({**base, "level": LEVELS[0], "basis": "heterogeneous",
                     **_heterogeneous(precise, limit)})  # fmt: skip
    return made


def _heterogeneous(facts: pd.DataFrame, limit: float) -> dict[str, float]:
    """Where the bound of a typical study crosses the threshold, if within `MOST_ADDED`."""
    mu, tau = (priors.get("safety", name) for name in ("mu", "tau"))
    added = np.concatenate([[0.0], np.geomspace(10.0, MOST_ADDED, STEPS)])
    curve = exact.counts.bound_curve(
        facts["k"], facts["patient_years"], added, patients=facts["n"],
        mu_prior=exact.Normal(*mu.params), tau_prior=exact.HalfNormal(tau.scale), per=PER,
        level=LEVELS[0],
    )  # fmt: skip
    bound = curve["upper_mean_study"].to_numpy()
    under = np.flatnonzero(bound < limit)
    more = np.nan
    if len(under):
        i = under[0]
        more = 0.0 if i == 0 else float(np.interp(limit, bound[[i, i - 1]], added[[i, i - 1]]))
    return {"bound_now": float(bound[0]), "needed_in_all": facts["patient_years"].sum() + more,
            "needed_more": more}  # fmt: skip


def _exclusions(evidence: Evidence, table: pd.DataFrame) -> pd.DataFrame:
    names = [renamed(evidence, f"safety:{line}") for line in table["line"]]
    return pd.DataFrame({
        "source_row": names, "study_id": table["study_id"],
        "event": table["event_category"], "reason": table["reason"],
    }).drop_duplicates("source_row")  # fmt: skip
