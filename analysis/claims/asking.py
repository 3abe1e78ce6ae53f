"""Questions behind claims: each reads what decides a claim and gives a `Finding`.

A question takes the inputs and the claim, whose approach and population it is asked of, and reads
estimates and tables of the run, or counts of facts. Nothing is worded here: what must be said
beside a figure is worded in `caveats`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from analysis import certainty as sure
from analysis import outcomes, registered, results, risk_of_bias
from analysis.claims import caveats
from analysis.evidence import Evidence
from analysis.evidence.references import reference
from analysis.records import records
from analysis.verdicts import Grounds

MOST = 0.5
GROWN_ISLETS = ("psc_islet", "endoderm_islet")
"""Islets grown before they are given; progenitors become islets in the body, or do not."""
SMALL, SHORT = 50, 24
"""Fewer treated patients than this is a small trial; at most so many months is a short one."""
TUMOUR_THRESHOLD = outcomes.get("harm_malignancy_or_tumour").important[0]
"""Malignancies per 100 patient-years that the data would have to rule out."""


@dataclass(frozen=True)
class Inputs:
    """Everything a claim may be judged by: estimates, declared tables by name, the evidence."""

    estimates: pd.DataFrame
    tables: Mapping[str, pd.DataFrame]
    evidence: Evidence

    def table(self, name: str) -> pd.DataFrame:
        """A declared table; without rows where the run made none."""
        found = self.tables.get(name)
        return results.TABLES[name].empty() if found is None else found


@dataclass(frozen=True)
class Finding:
    """What the inputs say on one claim.

    Attributes
    ----------
    grounds : what the verdict is made of.
    ids : ids of the estimates it rests on.      rows : rows of the evidence it rests on.
    value, ci_low, ci_high, unit : the figure that decides, as readers see it.
    k, n, seen : studies (or what `k_what` says), patients, patients in whom it was seen.
    counted : what was counted part by part (`counted`): classes of cells, harms or arms.
    n_analyses, as_favourable, beyond : of an effect, the defensible analyses of its headline, the
        share of them at least as favourable, and the share whose whole interval lies beyond the
        threshold.
    caveats : what a reader must know.
    """

    grounds: Grounds
    ids: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    value: float = np.nan
    ci_low: float = np.nan
    ci_high: float = np.nan
    unit: str = ""
    k: float = 0
    k_what: str = "study"
    n: float = 0
    seen: float = np.nan
    counted: tuple[str, ...] = ()
    n_analyses: float = np.nan
    as_favourable: float = np.nan
    beyond: float = np.nan
    caveats: tuple[str, ...] = ()


Question = Callable[[Inputs, "Claim"], Finding]
"""Reads what decides a claim, asked of the claim's approach and population."""


@dataclass(frozen=True)
class Claim:
    """A public claim with the stratum, estimand and threshold that make it a question.

    Attributes
    ----------
    id, claim, short : its name; the sentence; the sentence in a few words.
    kind : how a verdict is reached (`verdicts`).
    approach, population : of whom it is asked.
    estimand, threshold : which figure decides it, beyond what.
    ask : the question.
    caveats : what must be said beside it, whatever is found.
    implies : claims that are true where this one is.
    """

    id: str
    claim: str
    short: str
    kind: str
    approach: str
    population: str
    estimand: str
    threshold: str
    ask: Question
    caveats: tuple[str, ...] = field(default=())
    implies: tuple[str, ...] = field(default=())


def counted(part: str, k: float, n: float, *, least: bool = False) -> str:
    """One part of a count, such as `psc_islet=14/14`; `>=` where the count is a lower bound."""
    return f"{part}{'>=' if least else '='}{k:.0f}/{n:.0f}"


# --- effects ---------------------------------------------------------------------------------


def effect(outcome: str, threshold: float = np.nan) -> Question:
    """P(the controlled mean lies beyond the threshold on the good side); 0 or 1 is no effect."""

    def ask(inputs: Inputs, claim: Claim) -> Finding:
        about = outcomes.get(outcome)
        limit = about.neutral if np.isnan(threshold) else threshold
        where = {"outcome": outcome, "approach": claim.approach, "population": claim.population,
                 "design": "controlled"}  # fmt: skip
        told = inputs.table("headlines")
        told = told[_matches(told, where)]
        if told.empty or told["told"].iloc[0] == "none":
            return Finding(Grounds(), caveats=("no result against control groups",))
        row = told.iloc[0]
        behind = {"k": row["k_studies"], "n": row["n_patients"]}
        grounds = Grounds(k_randomised=row["k_randomised"], k_studies=row["k_studies"],
                          k_numbers=row["k_numbers"])  # fmt: skip
        if row["told"] != "mean":
            why = ("a single study", "too few results in numbers for a mean")
            return Finding(grounds, ids=(":".join(where.values()),),
                           caveats=(why[row["told"] == "words"],), **behind)  # fmt: skip
        scale = "ratio" if about.is_ratio else about.scale
        mean = results.one(inputs.estimates, **where, scale=scale)
        chance = results.one(inputs.estimates, **where, quantity="probability", threshold=limit)
        grounds = replace(
            grounds, probability=float(chance["mean"]), certainty=_certainty(inputs, mean["id"])
        )
        return Finding(grounds, ids=(mean["id"], chance["id"]), value=mean["mean"],
                       ci_low=mean["ci_low"], ci_high=mean["ci_high"], unit=mean["unit"],
                       caveats=tuple(filter(None, [mean["note"]])), **behind,
                       **_among_analyses(inputs, about, where, limit))  # fmt: skip

    return ask


def _among_analyses(
    inputs: Inputs, about: outcomes.Outcome, where: Mapping[str, str], limit: float
) -> dict[str, Any]:
    """Where a headline and the threshold of a claim stand among the defensible analyses.

    The analyses are those of the table `standing`: usable, and without unreported registered trials
    entered as nulls, which are a bound.
    """
    stratum = {name: where[name] for name in ("outcome", "approach", "population")}
    stands = inputs.table("standing")
    stands = stands[_matches(stands, stratum)]
    specs = inputs.table("multiverse")
    specs = specs[_matches(specs, {**stratum, "silent_trials": "out"})]
    usable = specs[specs["conclusion"] != "too_few"]
    worst = usable["ci_low" if about.good > 0 else "ci_high"]
    if stands.empty or usable.empty:
        return {}
    return {
        "n_analyses": len(usable),
        "as_favourable": stands["share_as_favourable"].iloc[0],
        "beyond": float((about.good * (worst - about.modelled(limit)) > 0).mean()),
    }


def _certainty(inputs: Inputs, estimate_id: str) -> str:
    table = inputs.table("certainty").set_index("estimate_id")["level"]
    return str(table.get(estimate_id, ""))


def _matches(table: pd.DataFrame, parts: Mapping[str, object]) -> pd.Series:
    chosen = pd.Series(True, index=table.index)
    for name, value in parts.items():
        chosen &= table[name] == value
    return chosen


def types_differ(inputs: Inputs, claim: Claim) -> Finding:
    """P(HbA1c after cell infusion differs between the types by the smallest important amount)."""
    about = outcomes.get("hba1c")
    limit = min(abs(value) for value in about.important)
    first, second = (
        results.get(inputs.estimates, outcome="hba1c", approach="cell_infusion", population=people,
                    design="controlled", scale=about.scale)
        for people in ("t1d", "t2d")
    )  # fmt: skip
    if first is None or second is None:
        return Finding(Grounds(), caveats=("no controlled mean in each of the two types",))
    densities = inputs.table("densities")
    own = _matches(densities, {"outcome": "hba1c", "approach": "cell_infusion",
                               "design": "controlled", "quantity": "mean"})  # fmt: skip
    x1, w1 = _grid(densities[own & (densities["population"] == "t1d")])
    x2, w2 = _grid(densities[own & (densities["population"] == "t2d")])
    gap = x2[None, :] - x1[:, None]
    weight = w1[:, None] * w2[None, :]
    probability = min(1.0, float(weight[np.abs(gap) > limit].sum()))
    mean = float((weight * gap).sum())
    k = min(first["k_studies"], second["k_studies"])
    level = min(
        (_certainty(inputs, row["id"]) for row in (first, second)),
        key=lambda word: -1 if not word else sure.LEVELS.index(word),
    )
    return Finding(
        Grounds(probability=probability, certainty=level, k_randomised=k, k_studies=k,
                k_numbers=k),
        ids=(first["id"], second["id"]), value=mean, unit=about.unit,
        k=first["k_studies"] + second["k_studies"], n=first["n_patients"] + second["n_patients"],
        caveats=("between studies, not within one: cells and patients differ as well",),
    )  # fmt: skip


def _grid(points: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    points = points.sort_values("x")
    weight = points["density"].to_numpy()
    return points["x"].to_numpy(), weight / weight.sum()


def more_than_controls(outcome: str) -> Question:
    """P(a share is higher than in the controls of the same study), where one counts both."""

    def ask(inputs: Inputs, claim: Claim) -> Finding:
        table = inputs.table("share_contrasts")
        table = table[_matches(table, {"outcome": outcome, "approach": claim.approach})]
        table = table[table["population"].isin(finer(claim.population))]
        facts = _facts(inputs, outcome, claim)
        rows = tuple(";".join(facts["source_rows"]).split(";")) if len(facts) else ()
        if table.empty:
            why = "no study counts it in a control group as well"
            return Finding(Grounds(), rows=rows, k=len(facts), n=facts["n"].sum(),
                           seen=facts["k"].sum(), caveats=(why,))  # fmt: skip
        best = table.sort_values("n", ascending=False, kind="stable").iloc[0]
        grounds = Grounds(
            probability=best["probability_higher"], certainty=_of_contrast(inputs, outcome, best),
            k_randomised=int((table["randomised"] == "yes").sum()), k_studies=len(table),
            k_numbers=len(table),
        )  # fmt: skip
        return Finding(grounds, rows=tuple(best["source_rows"].split(";")),
                       value=best["risk_ratio"], ci_low=best["rr_low"], ci_high=best["rr_high"],
                       unit="risk ratio", k=len(table), n=(table["n"] + table["n_control"]).sum(),
                       seen=best["k"],
                       counted=(counted("treated", best["k"], best["n"]),
                                counted("control", best["k_control"], best["n_control"])),
                       caveats=(caveats.controls(len(table), max(len(facts), len(table))),)
                       )  # fmt: skip

    return ask


def _of_contrast(inputs: Inputs, outcome: str, contrast: pd.Series) -> str:
    """Certainty of a share compared with the controls of one study."""
    studies = inputs.evidence.studies.set_index("study_id")
    cohort = studies["cohort"].get(contrast["study_id"], "")
    judged = risk_of_bias.overalls(inputs.evidence.risk_of_bias)
    own = judged[(judged["cohort"] == cohort)
                 & (judged["outcome_family"] == outcomes.get(outcome).family)]  # fmt: skip
    level, _ = sure.judge(
        sure.Body(
            randomised=contrast["randomised"] == "yes",
            weights=(1.0,),
            judgements=(own["overall"].iloc[0] if len(own) else "not judged",),
            n_patients=contrast["n"] + contrast["n_control"],
            ci_low=contrast["rr_low"],
            ci_high=contrast["rr_high"],
            neutral=1.0,
            risk_ratio=contrast["risk_ratio"],
        )
    )
    return level


# --- occurrence ------------------------------------------------------------------------------


def occurs(
    outcome: str,
    *,
    undetectable: bool = True,
    classes: Iterable[str] = (),
    studies: Callable[[Inputs], set[str]] | None = None,
) -> Question:
    """Counts of patients in whom it was seen; undetectable C-peptide at entry where asked.

    Classes of cells are told apart: a joined share is never the figure of a claim.
    """

    def ask(inputs: Inputs, claim: Claim) -> Finding:
        facts = _facts(inputs, outcome, claim)
        if undetectable:
            facts = facts[facts["undetectable_at_entry"] == "yes"]
        if classes:
            facts = facts[facts["cell_class"].isin(list(classes))]
        if studies is not None:
            facts = facts[facts["study_id"].isin(studies(inputs))]
        if facts.empty:
            told = () if studies is None else _in_words(inputs, outcome, studies(inputs))
            return Finding(Grounds(), rows=tuple(rows for rows, _ in told),
                           caveats=("nobody counts it", *(words for _, words in told)))  # fmt: skip
        k, n = facts["k"].sum(), facts["n"].sum()
        found = sorted(set(facts["cell_class"]))
        where = {"outcome": outcome, "approach": claim.approach, "population": claim.population,
                 "quantity": "pooled_share", "scale": "share"}  # fmt: skip
        pooled = results.get(inputs.estimates, **where)
        if len(found) == 1 and (pooled is None or pooled["n_patients"] != n):
            pooled = results.get(inputs.estimates, **where, cell_class=found[0])
        whole = pooled if pooled is not None and pooled["n_patients"] == n else None
        alone = whole if len(found) == 1 else None
        return Finding(
            Grounds(
                most_in_a_cohort=facts["k"].max(),
                n_counted=n,
                certainty="" if whole is None else _certainty(inputs, whole["id"]),
            ),
            ids=() if whole is None else (whole["id"],),
            rows=tuple(";".join(facts["source_rows"]).split(";")),
            value=k / n if len(found) == 1 else np.nan, unit="share", k=len(facts), n=n, seen=k,
            counted=_by_part(facts, "cell_class"),
            ci_low=np.nan if alone is None else alone["ci_low"],
            ci_high=np.nan if alone is None else alone["ci_high"],
        )  # fmt: skip

    return ask


def _in_words(inputs: Inputs, outcome: str, studies: set[str]) -> tuple[tuple[str, str], ...]:
    """What is known in words alone of an outcome nobody counts: the row, and what it says.

    Reports that enter no count (press, context) are told too: they are what is known.
    """
    about = outcome.rpartition("_")[0]
    table = inputs.evidence.directions
    own = table[table["study_id"].isin(studies) & table["outcome"].str.startswith(about)]
    reports = inputs.evidence.studies.set_index("study_id")
    trials = inputs.evidence.registered_trials
    ended = set(trials.loc[trials["status"].eq("terminated"), "study_ids"].str.split().explode())
    return tuple(
        (
            reference("directions", row),
            caveats.in_words(reports.loc[row["study_id"]], row, ended=row["study_id"] in ended),
        )
        for row in records(own)
    )


def _by_part(facts: pd.DataFrame, column: str) -> tuple[str, ...]:
    """Counts of facts (k, n, bound) by the words of a column."""
    return tuple(
        counted(word, own["k"].sum(), own["n"].sum(), least=own["bound"].eq("at_least").any())
        for word, own in facts.groupby(column, sort=True)
    )


def _facts(inputs: Inputs, outcome: str, claim: Claim) -> pd.DataFrame:
    table = inputs.table("share_facts")
    table = table[_matches(table, {"outcome": outcome, "approach": claim.approach})]
    return table[table["population"].isin(finer(claim.population))]


def finer(population: str) -> tuple[str, ...]:
    """A population and those within it."""
    within = {"t1d": ("t1d", "t1d_new_onset", "t1d_established"),
              "all": ("all", "t1d", "t1d_new_onset", "t1d_established", "t2d")}  # fmt: skip
    return within.get(population, (population,))


def capsule_alone(inputs: Inputs) -> set[str]:
    studies = inputs.evidence.studies
    return set(studies.loc[studies["immune_strategy"] == "encapsulation", "study_id"])


# --- durations -------------------------------------------------------------------------------


def lasts(month: int) -> Question:
    """P(most of the ever insulin-free still are at `month`), within the follow-up."""

    def ask(inputs: Inputs, claim: Claim) -> Finding:
        where: dict[str, str | float | None]
        where = {"outcome": "insulin_free_duration", "approach": claim.approach,
                 "population": claim.population, "month": month, "variant": "stacked"}  # fmt: skip
        chance = results.get(inputs.estimates, **where, quantity="survival_above", threshold=MOST)
        share = results.get(inputs.estimates, **where, quantity="survival")
        reach = inputs.table("duration_follow_up")
        reach = reach[_matches(reach, {"approach": claim.approach, "population": claim.population})]
        last = reach["last_month"].iloc[0] if len(reach) else np.nan
        if chance is None or share is None:
            return Finding(Grounds(month=month, last_month=last),
                           caveats=("no curve: too few durations",))  # fmt: skip
        grounds = Grounds(probability=chance["mean"], certainty=_certainty(inputs, share["id"]),
                          month=month, last_month=last)  # fmt: skip
        return Finding(grounds, ids=(share["id"], chance["id"]), value=share["median"],
                       ci_low=share["ci_low"], ci_high=share["ci_high"], unit="share",
                       k=share["k_studies"], n=share["n_patients"])  # fmt: skip

    return ask


# --- harms -----------------------------------------------------------------------------------


def no_tumours(inputs: Inputs, claim: Claim) -> Finding:
    """Whether the data alone rule out malignancy at the threshold."""
    table = inputs.table("harm_summary")
    table = table[_matches(table, {"event": "malignancy_or_tumour", "relation": "any",
                                   "approach": claim.approach})]  # fmt: skip
    if table.empty:
        return Finding(Grounds(threshold=TUMOUR_THRESHOLD), caveats=("nobody counts it",))
    row = table.iloc[0]
    grounds = Grounds(bound=row["upper_975"], threshold=TUMOUR_THRESHOLD)
    rows = tuple(filter(None, str(row["source_rows"]).split(";")))
    return Finding(grounds, rows=rows, value=row["upper_975"], unit="per 100 patient-years",
                   k=row["k_cohorts"], n=row["n_patients"], seen=row["events"],
                   caveats=(*caveats.silence(row["k_silent"], row["n_silent"]),
                            *_of_the_graft(inputs, claim)))  # fmt: skip


def _of_the_graft(inputs: Inputs, claim: Claim) -> tuple[str, ...]:
    """What is said of growth of the cells given, which is no count of cancer of the patient."""
    table = inputs.table("harm_summary")
    table = table[_matches(table, {"event": "graft_growth", "relation": "any",
                                   "approach": claim.approach})]  # fmt: skip
    if table.empty or not table["n_patients"].iloc[0]:
        return ()
    row = table.iloc[0]
    return (caveats.graft(row["events"], row["n_patients"]),)


def known_harm(*events: str) -> Question:
    """What was counted here of harms that are known from other fields, harm by harm."""

    def ask(inputs: Inputs, claim: Claim) -> Finding:
        table = inputs.table("harm_facts")
        table = table[
            _matches(table, {"approach": claim.approach, "relation": "any", "arm": "treated"})
        ]
        table = table[table["event"].isin(list(events))]
        never = tuple(caveats.uncounted(word) for word in events if word not in set(table["event"]))
        never += _of_men(inputs, table)
        rows = tuple(";".join(table["source_rows"]).split(";")) if len(table) else ()
        single = len(set(table["event"])) == 1
        return Finding(Grounds(), rows=rows, k=table["cohort"].nunique(),
                       seen=table["k"].sum() if single else np.nan,
                       n=table.groupby("cohort")["n"].max().sum(),
                       counted=_by_part(table, "event"), caveats=never)  # fmt: skip

    return ask


def _of_men(inputs: Inputs, facts: pd.DataFrame) -> tuple[str, ...]:
    """Where a harm that men alone can have is counted of all who were treated."""
    safety = inputs.evidence.safety
    own = safety[
        safety["study_id"].isin(facts.loc[facts["event"].eq("impaired_fertility"), "study_id"])
        & safety["event_category"].eq("impaired_fertility")
    ]
    men = len(own) and own["event_detail"].str.contains("sperm").all()
    return (caveats.men(own["event_detail"].iloc[0]),) if men else ()


# --- descriptions ----------------------------------------------------------------------------


def _main_reports(inputs: Inputs) -> pd.DataFrame:
    studies = inputs.evidence.studies
    return studies[(studies["include"] == "yes") & (studies["cohort_role"] == "primary")]


def small_and_short(inputs: Inputs, claim: Claim) -> Finding:
    main = _main_reports(inputs)
    known = main[main["n_treated"].notna() & main["followup_months"].notna()]
    both = (known["n_treated"] < SMALL) & (known["followup_months"] <= SHORT)
    share = float(both.mean()) if len(known) else np.nan
    return Finding(Grounds(true_of_most=share > MOST if len(known) else None), value=share,
                   unit="share", k=len(known), k_what="cohort", n=known["n_treated"].sum(),
                   seen=int(both.sum()),
                   caveats=(caveats.printed(len(known), len(main)),))  # fmt: skip


def not_standardised(inputs: Inputs, claim: Claim) -> Finding:
    """Whether no single combination of cells, donor and route makes up most of the cohorts."""
    main = _main_reports(inputs)
    same = main.groupby(["cell_class", "donor", "route"], dropna=False).size()
    share = float(same.max() / same.sum()) if len(main) else np.nan
    return Finding(Grounds(true_of_most=share < MOST if len(main) else None), value=len(same),
                   unit="combinations of cells, donor and route", k=len(main), k_what="cohort",
                   n=main["n_treated"].sum(), seen=int(same.max()) if len(main) else 0)  # fmt: skip


def trials_needed(inputs: Inputs, claim: Claim) -> Finding:
    """Whether most headlines rest on few randomised patients; beside it the largest trial to come.

    No ongoing trial large enough is no part of the verdict: it is said as a caveat.
    """
    table = inputs.table("headlines")
    table = table[(table["design"] == "randomised") & (table["approach"] != "all")]
    asked = table[table["outcome"].isin(outcomes.HEADLINES) & (table["population"] != "all")]
    few = asked["n_patients"].fillna(0) < sure.FEW_PATIENTS
    coming = _ongoing(inputs)
    controlled = coming[coming["controlled"] == "yes"]
    return Finding(Grounds(true_of_most=bool(few.mean() > MOST) if len(asked) else None),
                   ids=tuple(filter(None, asked.loc[few, "estimate_id"])),
                   rows=_entries(inputs, controlled),
                   value=float(few.mean()) if len(asked) else np.nan, unit="share",
                   k=len(asked), k_what="headline", seen=int(few.sum()),
                   caveats=(caveats.largest(len(controlled), controlled["n"].max()),))  # fmt: skip


def under_way(inputs: Inputs, claim: Claim) -> Finding:
    """Whether trials are under way or planned; how many of them have a control group."""
    ongoing = _ongoing(inputs)
    if inputs.evidence.registered_trials.empty:
        return Finding(Grounds(), caveats=("no list of registered trials was given",))
    controlled = int((ongoing["controlled"] == "yes").sum())
    masked = int((ongoing["masked"] == "yes").sum())
    return Finding(
        Grounds(true_of_most=len(ongoing) > 0), rows=_entries(inputs, ongoing),
        value=len(ongoing), unit="registered trials under way or planned", k=len(ongoing),
        k_what="trial",
        n=ongoing["n"].sum(),
        caveats=(caveats.registered(controlled, masked, registered.read_on(inputs.evidence)),),
    )  # fmt: skip


def _ongoing(inputs: Inputs) -> pd.DataFrame:
    return registered.ongoing(inputs.evidence)


def _entries(inputs: Inputs, trials: pd.DataFrame) -> tuple[str, ...]:
    """The rows of the evidence that hold these registered trials."""
    table = inputs.evidence.registered_trials
    own = table[table["registry_id"].isin(trials["registry_id"])]
    return tuple(reference("registered_trials", row) for row in records(own))


def outside(inputs: Inputs, claim: Claim) -> Finding:
    return Finding(Grounds())
