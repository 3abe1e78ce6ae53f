"""What is said in public about stem cells in diabetes, judged by the evidence: one row a claim.

Each claim names an approach, a population, an estimand and a threshold. A question reads what
decides it from the estimates and tables of the run, or from counts of facts, and gives `Grounds`;
the word follows by the rules of `verdicts`, certainty beside it. What was not measured is "not
known", with the reason. No prose is formatted here: a claim has figures and ids, and the report
makes sentences of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from analysis import certainty as sure
from analysis import outcomes, registered, results, risk_of_bias, verdicts, vocabulary
from analysis.evidence import Evidence
from analysis.evidence.references import reference
from analysis.verdicts import (
    BEYOND,
    DESCRIPTION,
    DURATION,
    EFFECT,
    KNOWN_HARM,
    NO_HARM,
    OCCURRENCE,
    Grounds,
)
from analysis.vocabulary import INFUSION, ISLETS, RESET

MOST = 0.5
GROWN_ISLETS = ("psc_islet", "endoderm_islet")
"""Islets grown before they are given; progenitors become islets in the body, or do not."""
SMALL, SHORT = 50, 24
"""Fewer treated patients than this is a small trial; at most so many months is a short one."""
TUMOUR_THRESHOLD = outcomes.get("harm_malignancy_or_tumour").important[0]
"""Malignancies per 100 patient-years that the data would have to rule out."""


@dataclass(frozen=True)
class Source:
    """A source outside the extract: what it is cited for, the citation, its address."""

    key: str
    what: str
    citation: str
    url: str


OTHER_FIELDS = (
    Source(
        "barton2012",
        "serious harms under immunosuppression after transplantation of donor islets",
        "Barton FB et al. 2012, Diabetes Care 35:1436-1445, doi 10.2337/dc12-0063",
        "https://pmc.ncbi.nlm.nih.gov/articles/PMC3379615",
    ),
    Source(
        "citr2009",
        "events judged related to immunosuppression in the first year after donor islets",
        "Collaborative Islet Transplant Registry 2009, Cell Transplantation 18(7), 2007 update",
        "http://www.ingentaconnect.com/content/cog/ct/2009/00000018/00000007/art00008",
    ),
    Source(
        "leger2004",
        "organ damage and life-threatening infection after high-dose conditioning",
        "Léger CS, Nevill TJ 2004, CMAJ 170:1569-1577",
        "https://cmaj.ca/content/170/10/1569.full.txt",
    ),
    Source(
        "bmt2022",
        "loss of ovarian function and infertility after haematopoietic cell transplantation",
        "The effect of hematopoietic stem cell transplantation on fertility and strategies for "
        "improvement 2022, Bone Marrow Transplantation, doi 10.1038/s41409-022-01792-6",
        "https://www.nature.com/articles/s41409-022-01792-6",
    ),
)
"""What other fields of medicine taught about the harms; each was read at its address."""
SOURCES_OF = {
    "immunosuppression_infection": ("barton2012", "citr2009"),
    "conditioning_harms": ("leger2004", "bmt2022"),
}
"""The sources from other fields that a claim of known harm rests on, by claim."""


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
        share of them at least as favourable, and the share whose mean lies beyond the threshold.
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


def counted(part: str, k: float, n: float, *, least: bool = False) -> str:
    """One part of a count, such as `psc_islet=14/14`; `>=` where the count is a lower bound."""
    return f"{part}{'>=' if least else '='}{k:.0f}/{n:.0f}"


@dataclass(frozen=True)
class Claim:
    """A public claim with the stratum, estimand and threshold that make it a question."""

    id: str
    claim: str
    short: str
    kind: str
    approach: str
    population: str
    estimand: str
    threshold: str
    ask: Callable[[Inputs], Finding]
    caveats: tuple[str, ...] = field(default=())
    implies: tuple[str, ...] = field(default=())


# --- effects ---------------------------------------------------------------------------------


def _effect(outcome: str, approach: str, population: str, threshold: float = np.nan):
    """P(the controlled mean lies beyond the threshold on the good side); 0 or 1 is no effect."""

    def ask(inputs: Inputs) -> Finding:
        about = outcomes.get(outcome)
        limit = about.neutral if np.isnan(threshold) else threshold
        where = {"outcome": outcome, "approach": approach, "population": population,
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
) -> dict[str, float]:
    """Where a headline and the threshold of a claim stand among the defensible analyses.

    The analyses are those of the table `standing`: usable, and without unreported registered trials
    entered as nulls, which are a bound.
    """
    stratum = {name: where[name] for name in ("outcome", "approach", "population")}
    stands = inputs.table("standing")
    stands = stands[_matches(stands, stratum)]
    specs = inputs.table("multiverse")
    specs = specs[_matches(specs, {**stratum, "silent_trials": "out"})]
    means = specs.loc[specs["conclusion"] != "too_few", "mean"]
    if stands.empty or means.empty:
        return {}
    return {
        "n_analyses": len(means),
        "as_favourable": stands["share_as_favourable"].iloc[0],
        "beyond": float((about.good * (means - about.modelled(limit)) > 0).mean()),
    }


def _certainty(inputs: Inputs, estimate_id: str) -> str:
    table = inputs.table("certainty").set_index("estimate_id")["level"]
    return str(table.get(estimate_id, ""))


def _matches(table: pd.DataFrame, parts: Mapping[str, object]) -> pd.Series:
    chosen = pd.Series(True, index=table.index)
    for name, value in parts.items():
        chosen &= table[name] == value
    return chosen


def _types_differ(inputs: Inputs) -> Finding:
    """P(HbA1c after cell infusion differs between the types by the smallest important amount)."""
    about = outcomes.get("hba1c")
    limit = min(abs(value) for value in about.important)
    found = [
        results.get(inputs.estimates, outcome="hba1c", approach="cell_infusion", population=people,
                    design="controlled", scale=about.scale)
        for people in ("t1d", "t2d")
    ]  # fmt: skip
    if any(row is None for row in found):
        return Finding(Grounds(), caveats=("no controlled mean in each of the two types",))
    first, second = found
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
        (_certainty(inputs, row["id"]) for row in found),
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


def _more_than_controls(outcome: str, approach: str, population: str):
    """P(a share is higher than in the controls of the same study), where one counts both."""

    def ask(inputs: Inputs) -> Finding:
        table = inputs.table("share_contrasts")
        table = table[_matches(table, {"outcome": outcome, "approach": approach})]
        table = table[table["population"].isin(finer(population))]
        facts = _facts(inputs, outcome, approach, population)
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
                       caveats=(f"controls are counted as well in {len(table)} of "
                                f"{max(len(facts), len(table))} studies",))  # fmt: skip

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


def _occurs(
    outcome: str,
    approach: str,
    population: str,
    *,
    undetectable: bool = True,
    classes: Iterable[str] = (),
    studies: Callable[[Inputs], set[str]] | None = None,
):
    """Counts of patients in whom it was seen; undetectable C-peptide at entry where asked.

    Classes of cells are told apart: a joined share is never the figure of a claim.
    """

    def ask(inputs: Inputs) -> Finding:
        facts = _facts(inputs, outcome, approach, population)
        if undetectable:
            facts = facts[facts["undetectable_at_entry"] == "yes"]
        if classes:
            facts = facts[facts["cell_class"].isin(list(classes))]
        if studies is not None:
            facts = facts[facts["study_id"].isin(studies(inputs))]
        if facts.empty:
            return Finding(Grounds(), caveats=("nobody counts it",))
        k, n = facts["k"].sum(), facts["n"].sum()
        found = sorted(set(facts["cell_class"]))
        where = {"outcome": outcome, "approach": approach, "population": population,
                 "quantity": "pooled_share", "scale": "share"}  # fmt: skip
        pooled = results.get(inputs.estimates, **where)
        if len(found) == 1 and (pooled is None or pooled["n_patients"] != n):
            pooled = results.get(inputs.estimates, **where, cell_class=found[0])
        whole = pooled is not None and pooled["n_patients"] == n
        alone = whole and len(found) == 1
        return Finding(
            Grounds(
                most_in_a_cohort=facts["k"].max(),
                n_counted=n,
                certainty=_certainty(inputs, pooled["id"]) if whole else "",
            ),
            ids=(pooled["id"],) if whole else (),
            rows=tuple(";".join(facts["source_rows"]).split(";")),
            value=k / n if len(found) == 1 else np.nan, unit="share", k=len(facts), n=n, seen=k,
            counted=_by_part(facts, "cell_class"),
            ci_low=pooled["ci_low"] if alone else np.nan,
            ci_high=pooled["ci_high"] if alone else np.nan,
        )  # fmt: skip

    return ask


def _by_part(facts: pd.DataFrame, column: str) -> tuple[str, ...]:
    """Counts of facts (k, n, bound) by the words of a column."""
    return tuple(
        counted(word, own["k"].sum(), own["n"].sum(), least=own["bound"].eq("at_least").any())
        for word, own in facts.groupby(column, sort=True)
    )


def _facts(inputs: Inputs, outcome: str, approach: str, population: str) -> pd.DataFrame:
    table = inputs.table("share_facts")
    table = table[_matches(table, {"outcome": outcome, "approach": approach})]
    return table[table["population"].isin(finer(population))]


def finer(population: str) -> tuple[str, ...]:
    """A population and those within it."""
    within = {"t1d": ("t1d", "t1d_new_onset", "t1d_established"),
              "all": ("all", "t1d", "t1d_new_onset", "t1d_established", "t2d")}  # fmt: skip
    return within.get(population, (population,))


def _capsule_alone(inputs: Inputs) -> set[str]:
    studies = inputs.evidence.studies
    return set(studies.loc[studies["immune_strategy"] == "encapsulation", "study_id"])


# --- durations -------------------------------------------------------------------------------


def _lasts(approach: str, population: str, month: int):
    """P(most of the ever insulin-free still are at `month`), within the follow-up."""

    def ask(inputs: Inputs) -> Finding:
        where = {"outcome": "insulin_free_duration", "approach": approach,
                 "population": population, "month": month, "variant": "stacked"}  # fmt: skip
        chance = results.get(inputs.estimates, **where, quantity="survival_above", threshold=MOST)
        share = results.get(inputs.estimates, **where, quantity="survival")
        reach = inputs.table("duration_follow_up")
        reach = reach[_matches(reach, {"approach": approach, "population": population})]
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


def _no_tumours(approach: str):
    def ask(inputs: Inputs) -> Finding:
        table = inputs.table("harm_summary")
        table = table[_matches(table, {"event": "malignancy_or_tumour", "relation": "any",
                                       "approach": approach})]  # fmt: skip
        if table.empty:
            return Finding(Grounds(threshold=TUMOUR_THRESHOLD), caveats=("nobody counts it",))
        row = table.iloc[0]
        grounds = Grounds(bound=row["upper_975"], threshold=TUMOUR_THRESHOLD)
        rows = tuple(filter(None, str(row["source_rows"]).split(";")))
        return Finding(grounds, rows=rows, value=row["upper_975"], unit="per 100 patient-years",
                       k=row["k_cohorts"], n=row["n_patients"], seen=row["events"],
                       caveats=(*_silence(row["k_silent"], row["n_silent"]),
                                *_of_the_graft(inputs, approach)))  # fmt: skip

    return ask


def _silence(k: float, n: float) -> tuple[str, ...]:
    """Who says nothing of a harm; nothing where all speak."""
    cohorts = f"{k:.0f} cohort{'' if k == 1 else 's'}"
    patients = f"{n:.0f} patient{'' if n == 1 else 's'}"
    say = "says" if k == 1 else "say"
    return (f"{cohorts} with {patients} {say} nothing of it",) if k > 0 else ()


def _of_the_graft(inputs: Inputs, approach: str) -> tuple[str, ...]:
    """What is said of growth of the cells given, which is no count of cancer of the patient."""
    table = inputs.table("harm_summary")
    table = table[_matches(table, {"event": "graft_growth", "relation": "any",
                                   "approach": approach})]  # fmt: skip
    if table.empty or not table["n_patients"].iloc[0]:
        return ()
    row = table.iloc[0]
    return (f"unwanted growth of the graft, which is no cancer of the patient, was seen in "
            f"{row['events']:.0f} of {row['n_patients']:.0f}",)  # fmt: skip


def _known_harm(events: Iterable[str], approach: str):
    """What was counted here of harms that are known from other fields, harm by harm."""

    def ask(inputs: Inputs) -> Finding:
        table = inputs.table("harm_facts")
        table = table[_matches(table, {"approach": approach, "relation": "any", "arm": "treated"})]
        table = table[table["event"].isin(list(events))]
        never = tuple(f"nobody counts {vocabulary.EVENT_CATEGORIES[word]}" for word in events
                      if word not in set(table["event"]))  # fmt: skip
        rows = tuple(";".join(table["source_rows"]).split(";")) if len(table) else ()
        single = len(set(table["event"])) == 1
        return Finding(Grounds(), rows=rows, k=table["cohort"].nunique(),
                       seen=table["k"].sum() if single else np.nan,
                       n=table.groupby("cohort")["n"].max().sum(),
                       counted=_by_part(table, "event"), caveats=never)  # fmt: skip

    return ask


# --- descriptions ----------------------------------------------------------------------------


def _main_reports(inputs: Inputs) -> pd.DataFrame:
    studies = inputs.evidence.studies
    return studies[(studies["include"] == "yes") & (studies["cohort_role"] == "primary")]


def _small_and_short(inputs: Inputs) -> Finding:
    main = _main_reports(inputs)
    known = main[main["n_treated"].notna() & main["followup_months"].notna()]
    both = (known["n_treated"] < SMALL) & (known["followup_months"] <= SHORT)
    share = float(both.mean()) if len(known) else np.nan
    return Finding(Grounds(true_of_most=share > MOST if len(known) else None), value=share,
                   unit="share", k=len(known), k_what="cohort", n=known["n_treated"].sum(),
                   seen=int(both.sum()),
                   caveats=(f"{len(known)} of {len(main)} cohorts print both their size and their "
                            "follow-up",))  # fmt: skip


def _not_standardised(inputs: Inputs) -> Finding:
    """Whether no single combination of cells, donor and route makes up most of the cohorts."""
    main = _main_reports(inputs)
    same = main.groupby(["cell_class", "donor", "route"], dropna=False).size()
    share = float(same.max() / same.sum()) if len(main) else np.nan
    return Finding(Grounds(true_of_most=share < MOST if len(main) else None), value=len(same),
                   unit="combinations of cells, donor and route", k=len(main), k_what="cohort",
                   n=main["n_treated"].sum(), seen=int(same.max()) if len(main) else 0)  # fmt: skip


def _trials_needed(inputs: Inputs) -> Finding:
    """Whether most headlines rest on few randomised patients; beside it the largest trial to come.

    No ongoing trial large enough is no part of the verdict: it is said as a caveat.
    """
    table = inputs.table("headlines")
    table = table[(table["design"] == "randomised") & (table["approach"] != "all")]
    asked = table[table["outcome"].isin(outcomes.HEADLINES) & (table["population"] != "all")]
    few = asked["n_patients"].fillna(0) < sure.FEW_PATIENTS
    coming = _ongoing(inputs)
    controlled = coming[coming["controlled"] == "yes"]
    caveat = "no ongoing trial has a control group"
    if len(controlled):
        caveat = (f"the largest of {len(controlled)} ongoing trials with a control group has "
                  f"{controlled['n'].max():.0f} patients")  # fmt: skip
    return Finding(Grounds(true_of_most=bool(few.mean() > MOST) if len(asked) else None),
                   ids=tuple(filter(None, asked.loc[few, "estimate_id"])),
                   rows=_entries(inputs, controlled),
                   value=float(few.mean()) if len(asked) else np.nan, unit="share",
                   k=len(asked), k_what="headline", seen=int(few.sum()),
                   caveats=(caveat,))  # fmt: skip


def _registered(inputs: Inputs) -> Finding:
    """Whether trials are under way or planned; how many of them have a control group."""
    ongoing = _ongoing(inputs)
    if inputs.evidence.registered_trials.empty:
        return Finding(Grounds(), caveats=("no list of registered trials was given",))
    controlled = int((ongoing["controlled"] == "yes").sum())
    masked = int((ongoing["masked"] == "yes").sum())
    day = registered.read_on(inputs.evidence)
    return Finding(
        Grounds(true_of_most=len(ongoing) > 0), rows=_entries(inputs, ongoing),
        value=len(ongoing), unit="registered trials under way or planned", k=len(ongoing),
        k_what="trial",
        n=ongoing["n"].sum(),
        caveats=(f"{controlled} of them have a control group, {masked} are masked; the registry "
                 f"was read on {day}",),
    )  # fmt: skip


def _ongoing(inputs: Inputs) -> pd.DataFrame:
    return registered.ongoing(inputs.evidence)


def _entries(inputs: Inputs, trials: pd.DataFrame) -> tuple[str, ...]:
    """The rows of the evidence that hold these registered trials."""
    table = inputs.evidence.registered_trials
    own = table[table["registry_id"].isin(trials["registry_id"])]
    return tuple(reference("registered_trials", row) for row in own.to_dict("records"))


def _outside(inputs: Inputs) -> Finding:
    return Finding(Grounds())


CLAIMS = (
    Claim("islets_c_peptide", "Islets made from stem cells make C-peptide in people who made none",
          "stem-cell islets make C-peptide", OCCURRENCE, ISLETS, "t1d",
          "patients with detectable C-peptide who had none before",
          "three patients of one cohort",
          _occurs("c_peptide_detectable", ISLETS, "t1d", classes=GROWN_ISLETS),
          implies=("proof_of_concept",)),
    Claim("progenitors_c_peptide", "Progenitor cells that are to become islets in the body make "
          "C-peptide in people who made none", "progenitors make C-peptide", OCCURRENCE, ISLETS,
          "t1d", "patients with detectable C-peptide who had none before",
          "three patients of one cohort",
          _occurs("c_peptide_detectable", ISLETS, "t1d", classes=("psc_progenitor",)),
          implies=("proof_of_concept",)),
    Claim("proof_of_concept", "Making insulin anew with stem cells is possible in people: the "
          "proof of concept is given", "proof of concept", OCCURRENCE, ISLETS, "t1d",
          "patients with detectable C-peptide who had none before", "three patients of one cohort",
          _occurs("c_peptide_detectable", ISLETS, "t1d"),
          ("that it is possible does not say for how many, how long, or at what price",)),
    Claim("islets_insulin_free", "After islet replacement some people need no insulin for a time",
          "islets: some insulin-free", OCCURRENCE, ISLETS, "t1d",
          "patients ever free of insulin whose C-peptide was undetectable before",
          "three patients of one cohort", _occurs("ever_insulin_free", ISLETS, "t1d"),
          ("people were selected for severe hypoglycaemia and take immunosuppressants",)),
    Claim("islets_dose", "Islets made from stem cells lower the insulin dose",
          "islets lower insulin", EFFECT, ISLETS, "t1d",
          "ratio of insulin dose against controls", "below 1",
          _effect("insulin_dose", ISLETS, "t1d")),
    Claim("islets_1_year", "For most who become insulin-free after islet replacement, it lasts one "
          "year", "islets: lasts 1 year", DURATION, ISLETS, "t1d",
          "share still insulin-free at 12 months", "above 50 %", _lasts(ISLETS, "t1d", 12)),
    Claim("islets_5_years", "For most who become insulin-free after islet replacement, it lasts "
          "five years", "islets: lasts 5 years", DURATION, ISLETS, "t1d",
          "share still insulin-free at 60 months", "above 50 %", _lasts(ISLETS, "t1d", 60),
          implies=("islets_1_year",)),
    Claim("reset_insulin_free", "An immune reset soon after diagnosis frees people from insulin "
          "who would otherwise need it", "immune reset: insulin-free", EFFECT, RESET, "t1d",
          "share ever free of insulin against controls", "risk ratio above 1",
          _more_than_controls("ever_insulin_free", RESET, "t1d"),
          ("soon after diagnosis some need little insulin for a time anyway",)),
    Claim("reset_5_years", "For most who become insulin-free after an immune reset, it lasts five "
          "years", "immune reset: lasts 5 years", DURATION, RESET, "t1d",
          "share still insulin-free at 60 months", "above 50 %", _lasts(RESET, "t1d", 60),
          implies=("reset_1_year",)),
    Claim("reset_10_years", "For most who become insulin-free after an immune reset, it lasts ten "
          "years", "immune reset: lasts 10 years", DURATION, RESET, "t1d",
          "share still insulin-free at 120 months", "above 50 %", _lasts(RESET, "t1d", 120),
          implies=("reset_5_years",)),
    Claim("reset_1_year", "For most who become insulin-free after an immune reset, it lasts one "
          "year", "immune reset: lasts 1 year", DURATION, RESET, "t1d",
          "share still insulin-free at 12 months", "above 50 %", _lasts(RESET, "t1d", 12)),
    Claim("infusion_t1d_c_peptide", "Infused cells preserve C-peptide in type 1 diabetes",
          "T1D infusion: C-peptide", EFFECT, INFUSION, "t1d",
          "ratio of C-peptide against controls", "above 1",
          _effect("c_peptide_ratio", INFUSION, "t1d")),
    Claim("infusion_t1d_hba1c", "Infused cells lower HbA1c in type 1 diabetes",
          "T1D infusion: HbA1c", EFFECT, INFUSION, "t1d",
          "difference of HbA1c against controls", "below 0 points",
          _effect("hba1c", INFUSION, "t1d")),
    Claim("infusion_t2d_hba1c", "Infused cells lower HbA1c in type 2 diabetes",
          "T2D infusion: HbA1c", EFFECT, INFUSION, "t2d",
          "difference of HbA1c against controls", "below 0 points",
          _effect("hba1c", INFUSION, "t2d")),
    Claim("infusion_t2d_hba1c_0_5", "Infused cells lower HbA1c in type 2 diabetes by half a point "
          "or more", "T2D infusion: HbA1c by 0.5", EFFECT, INFUSION, "t2d",
          "difference of HbA1c against controls", "below −0.5 points",
          _effect("hba1c", INFUSION, "t2d", -0.5), implies=("infusion_t2d_hba1c",)),
    Claim("infusion_t2d_c_peptide", "Infused cells raise C-peptide in type 2 diabetes",
          "T2D infusion: C-peptide", EFFECT, INFUSION, "t2d",
          "ratio of C-peptide against controls", "above 1",
          _effect("c_peptide_ratio", INFUSION, "t2d")),
    Claim("infusion_t2d_dose", "Infused cells lower the insulin dose in type 2 diabetes",
          "T2D infusion: insulin dose", EFFECT, INFUSION, "t2d",
          "ratio of insulin dose against controls", "below 1",
          _effect("insulin_dose", INFUSION, "t2d")),
    Claim("infusion_t2d_stop", "Infused cells let people with type 2 diabetes stop insulin who "
          "would otherwise need it", "T2D infusion: stop insulin", EFFECT, INFUSION, "t2d",
          "share ever free of insulin against controls", "risk ratio above 1",
          _more_than_controls("ever_insulin_free", INFUSION, "t2d"),
          ("weight, diet and tablets also free people with type 2 diabetes of insulin",)),
    Claim("islets_no_tumours", "Islet replacement adds no tumours", "islets: no tumours", NO_HARM,
          ISLETS, "all", "rate of malignancy or tumour", "below 1 per 100 patient-years",
          _no_tumours(ISLETS)),
    Claim("reset_no_tumours", "An immune reset adds no tumours", "immune reset: no tumours",
          NO_HARM, RESET, "all", "rate of malignancy or tumour", "below 1 per 100 patient-years",
          _no_tumours(RESET)),
    Claim("infusion_no_tumours", "Infused cells add no tumours", "infusion: no tumours", NO_HARM,
          INFUSION, "all", "rate of malignancy or tumour", "below 1 per 100 patient-years",
          _no_tumours(INFUSION)),
    Claim("immunosuppression_infection", "Immunosuppression carries a risk of infection",
          "immunosuppression: infection", KNOWN_HARM, ISLETS, "all",
          "severe infections counted here; other fields", "",
          _known_harm(("severe_infection",), ISLETS)),
    Claim("conditioning_harms", "Conditioning carries a risk of infection and infertility",
          "conditioning: infection, infertility", KNOWN_HARM, RESET, "all",
          "severe infections and impaired fertility counted here; other fields", "",
          _known_harm(("severe_infection", "impaired_fertility"), RESET)),
    Claim("capsule_instead", "A capsule can replace immunosuppression", "capsule, no drugs",
          OCCURRENCE, ISLETS, "t1d",
          "patients with detectable C-peptide, capsule alone", "three patients of one cohort",
          _occurs("c_peptide_detectable", ISLETS, "t1d", undetectable=False,
                  studies=_capsule_alone)),
    Claim("small_short", "Trials are small, selected and short", "small, short trials",
          DESCRIPTION, "all", "all", "share of cohorts that are small and short", "above 50 %",
          _small_and_short,
          ("how patients were selected is not counted; main reports of eligible cohorts only",)),
    Claim("not_standardised", "Protocols are not standardised", "protocols differ", DESCRIPTION,
          "all", "all", "most frequent combination of cells, donor and route",
          "under half of the cohorts", _not_standardised),
    Claim("types_differ", "Results differ between type 1 and type 2 diabetes", "types differ",
          EFFECT, INFUSION, "all", "difference of the HbA1c means of the two types",
          "more than 0.3 points apart", _types_differ),
    Claim("trials_needed", "Large, multi-centre randomised trials are needed",
          "large trials needed", DESCRIPTION, "all", "all",
          "headlines whose randomised evidence has fewer than 400 patients",
          "above 50 % of the headlines", _trials_needed),
    Claim("trials_to_follow", "There are genuine trials to stay informed about",
          "genuine trials exist", DESCRIPTION, "all", "all",
          "registered trials under way", "at least one", _registered),
    Claim("scale_cost", "The treatments are hard to scale and costly", "scale and cost", BEYOND,
          "all", "all", "neither is in these data", "", _outside),
)  # fmt: skip

IMPLIES = tuple((claim.id, implied) for claim in CLAIMS for implied in claim.implies)
"""Pairs (stronger claim, what it implies)."""

GROUPS = {
    **dict.fromkeys((verdicts.SHOWN, verdicts.WELL_SUPPORTED, verdicts.SUPPORTED), "shown"),
    verdicts.SUGGESTED: "suggested",
    **dict.fromkeys((verdicts.UNCERTAIN, verdicts.NOT_KNOWN, verdicts.OUTSIDE), "not_known"),
    **dict.fromkeys((verdicts.DOUBTFUL, verdicts.CONTRADICTED), "not_so"),
    verdicts.KNOWN_ELSEWHERE: "shown",
}
"""Where the page lists a claim, by its word."""


def table(
    estimates: pd.DataFrame, tables: Mapping[str, pd.DataFrame], evidence: Evidence
) -> pd.DataFrame:
    """The verdict on every claim.

    Parameters
    ----------
    estimates : all estimates of the run.
    tables : the declared tables of the run by name; any may be missing.
    evidence : the validated evidence tables.

    Returns
    -------
    The declared table `claims`, one row a claim.
    """
    inputs = Inputs(estimates, tables, evidence)
    found = {claim.id: claim.ask(inputs) for claim in CLAIMS}
    given = {claim.id: verdicts.verdict(claim.kind, found[claim.id].grounds) for claim in CLAIMS}
    words = verdicts.monotone({name: word for name, (word, _) in given.items()}, IMPLIES)
    rows = []
    for claim in CLAIMS:
        word, capped = words[claim.id], given[claim.id][1]
        if word != given[claim.id][0]:
            capped = "what it implies has that word"
        rows.append(_row(claim, found[claim.id], word, capped))
    return results.checked("claims", pd.DataFrame(rows))


def _row(claim: Claim, found: Finding, word: str, capped: str) -> dict:
    return {
        "claim_id": claim.id, "group": GROUPS[word], "claim": claim.claim, "short": claim.short,
        "kind": claim.kind, "approach": claim.approach, "population": claim.population,
        "estimand": claim.estimand, "threshold": claim.threshold,
        "estimate_ids": " ".join(found.ids), "source_rows": ";".join(found.rows),
        "probability": found.grounds.probability, "certainty": found.grounds.certainty,
        "verdict": word, "capped_by": capped, "k_studies": found.k, "k_what": found.k_what,
        "n_patients": found.n,
        "n_seen": found.seen, "counted": ";".join(found.counted), "value": found.value,
        "ci_low": found.ci_low,
        "ci_high": found.ci_high, "unit": found.unit, "n_analyses": found.n_analyses,
        "share_as_favourable": found.as_favourable, "share_beyond": found.beyond,
        "caveat": "; ".join((*found.caveats, *claim.caveats)),
    }  # fmt: skip
