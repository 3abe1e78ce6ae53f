"""What is said in public about stem cells in diabetes, judged by the estimates: one row a claim.

Each claim is tied to one estimand and a threshold; its probability is read from the table of
estimates, or follows exactly from counts of facts, and never typed. A verdict word comes from one
fixed scale (`SCALE`), and is capped by what stands behind it (`verdict`): evidence without control
groups, or from fewer than three studies, is never called better than "suggested" nor worse than
"doubtful", however extreme the probability. Where nothing was measured the verdict is "not known",
and the reason is given. Where the estimates hold no posterior probability, a normal approximation
on the scale of the model (identity, log for rates, logit for shares) takes its place; the caveat
says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import special, stats

from analysis import durations, vocabulary
from analysis.evidence import Evidence
from analysis.models.change import GOOD_SIGN, IMPORTANT
from analysis.models.evidence_needed import THRESHOLDS

COLUMNS = ["claim", "short", "estimand", "probability", "threshold", "verdict", "k_studies",
           "n_patients", "evidence", "caveat"]  # fmt: skip

SCALE = (
    ("well supported", 0.975),
    ("supported", 0.90),
    ("suggested", 0.75),
    ("uncertain", 0.25),
    ("doubtful", 0.05),
    ("contradicted", 0.0),
)
"""Verdict words, best first, each with the least probability of the claim that earns it."""

NOT_KNOWN = "not known"
VERDICTS = (*(word for word, _ in SCALE), NOT_KNOWN)
BEST_OF_WEAK, WORST_OF_WEAK = "suggested", "doubtful"
BEST_BEYOND_DATA = "uncertain"
ENOUGH_STUDIES = 3

EFFECT, OCCURRENCE, DESCRIPTION = "effect", "occurrence", "description"
"""Kinds of claim. An effect needs control groups; that something occurs, or what the trials are
like, can be seen without."""

SOME = 0.05
"""A share of patients from which one may say "some people"."""
MOST = 0.5
SMALL, SHORT = 50, 24
"""Fewer treated patients than this is a small trial; at most so many months is a short one."""
POSTERIOR_METHODS = ("nuts", "exact")
MSC_CLASSES = ("msc_umbilical", "msc_bone_marrow", "msc_adipose", "msc_placental")


class NotMeasured(LookupError):
    """Nothing in the inputs answers the question; the message is the reason the reader is given.

    `evidence`, `k` and `n` say what there is nevertheless.
    """

    def __init__(self, reason: str, evidence: str = "", k: float = 0, n: float = 0):
        super().__init__(reason)
        self.evidence, self.k, self.n = evidence, k, n


@dataclass(frozen=True)
class Inputs:
    """Everything a claim may be judged by; each part may be empty or missing."""

    estimates: pd.DataFrame
    tables: Mapping[str, pd.DataFrame]
    evidence: Evidence | None

    def table(self, name: str) -> pd.DataFrame:
        """A table of the run. Raises NotMeasured where the run made none."""
        found = self.tables.get(name)
        if found is None or found.empty:
            raise NotMeasured(f"the results hold no table {name}")
        return found

    def facts(self) -> Evidence:
        """The evidence. Raises NotMeasured when it was not given."""
        if self.evidence is None:
            raise NotMeasured("the evidence tables were not given")
        return self.evidence


@dataclass(frozen=True)
class Finding:
    """What the inputs say on one claim: the probability that it is true, and what it rests on."""

    probability: float
    estimand: str
    threshold: str
    k: float
    n: float
    evidence: str
    controlled: bool = False
    beyond_data: bool = False
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True)
class Claim:
    """A public claim, in a sentence and in few words, with the question that decides it."""

    claim: str
    short: str
    kind: str
    estimand: str
    ask: Callable[[Inputs], Finding]
    caveats: tuple[str, ...] = field(default=())


# --- the verdict -----------------------------------------------------------------------------


def verdict(
    probability: float,
    *,
    kind: str = EFFECT,
    k_studies: float = np.inf,
    controlled: bool = True,
    beyond_data: bool = False,
) -> str:
    """The word of `SCALE` for the probability that a claim is true, capped by its evidence.

    Parameters
    ----------
    probability : between 0 and 1; NaN gives "not known".
    kind : "effect", "occurrence" or "description".
    k_studies : studies behind the probability. None gives "not known"; fewer than three keep the
        verdict between "suggested" and "doubtful".
    controlled : whether those studies have control groups; without, an effect is capped likewise.
    beyond_data : whether it speaks of what the data cannot show, a time nobody was followed to or
        a rate lower than they can rule out: then at best "uncertain".

    Raises ValueError for a probability outside 0 to 1 or an unknown kind.
    """
    if kind not in (EFFECT, OCCURRENCE, DESCRIPTION):
        raise ValueError(f"no such kind of claim: {kind}")
    if np.isnan(probability) or not k_studies > 0:
        return NOT_KNOWN
    if not 0 <= probability <= 1:
        raise ValueError(f"a probability lies between 0 and 1, not {probability}")
    words = [word for word, _ in SCALE]
    place = next(i for i, (_, least) in enumerate(SCALE) if probability >= least)
    weak = k_studies < ENOUGH_STUDIES or (kind == EFFECT and not controlled)
    if weak or beyond_data:
        best = words.index(BEST_BEYOND_DATA if beyond_data else BEST_OF_WEAK)
        place = min(max(place, best), words.index(WORST_OF_WEAK))
    return words[place]


# --- reading estimates -----------------------------------------------------------------------


def _find(inputs: Inputs, scales: Iterable[str], **words: str) -> pd.Series | None:
    """The estimate by a posterior with these words; of several methods NUTS comes first."""
    table = inputs.estimates
    if table.empty:
        return None
    for column, value in words.items():
        table = table[table[column] == value]
    table = table[table["scale"].isin(list(scales)) & np.isfinite(table["mean"].astype(float))]
    for method in POSTERIOR_METHODS:
        rows = table[table["method"] == method]
        if len(rows):
            return rows.iloc[0]
    return None


def normal_probability(row: Mapping, threshold: float, *, above: bool) -> float:
    """P(estimate beyond the threshold) by a normal approximation on the scale of the model.

    Shares are taken on the logit and rates on the log scale, centre and SD from the ends of the
    95 % interval; everything else as it is, from mean and SD. NaN where these are not there.
    """
    link = {"probability": special.logit, "per_100_patient_years": np.log}.get(row["scale"])
    if link is None:
        centre, sd, limit = float(row["mean"]), float(row["sd"]), threshold
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            low, high, limit = (float(link(x)) for x in (row["ci_low"], row["ci_high"], threshold))
        centre, sd = (low + high) / 2, (high - low) / (2 * stats.norm.isf(0.025))
    if not (np.isfinite(centre) and np.isfinite(sd) and sd > 0):
        return np.nan
    z = (limit - centre) / sd
    return float(stats.norm.sf(z) if above else stats.norm.cdf(z))


def _approximated(row: Mapping) -> str:
    scale = {"probability": " on the logit scale", "per_100_patient_years": " on the log scale"}
    return "probability by a normal approximation" + scale.get(row["scale"], "")


def _mean(inputs: Inputs, outcome: str, group_kind: str, group: str, bound: float) -> Finding:
    """P(the pooled mean lies beyond `bound` on the good side); controlled studies where any are."""
    where = {"outcome": outcome, "group_kind": group_kind, "group": group}
    above = GOOD_SIGN[outcome] > 0
    for design in ("controlled", "uncontrolled"):
        row = _find(inputs, ("difference", "log_ratio"), estimand=f"mean_{design}", **where)
        if row is None:
            continue
        stated = _find(
            inputs, ("probability",), estimand=f"p_beyond_{abs(bound):g}_{design}", **where
        )
        caveats = [str(row["note"])] if row["note"] else []
        if stated is None:
            probability = normal_probability(row, bound, above=above)
            caveats.insert(0, _approximated(row))
        else:
            probability = float(stated["mean"])
        return Finding(
            probability=probability,
            estimand=f"{outcome}:{group}:mean_{design}",
            threshold=f"{'above' if above else 'below'} {bound:g} {row['unit']}",
            k=row["k_studies"],
            n=row["n_patients"],
            evidence=f"{_estimate(row)}; {_behind(row)}, {design}",
            controlled=design == "controlled",
            caveats=tuple(caveats),
        )
    raise NotMeasured(f"no pooled estimate of {outcome} in {group}")


def _estimate(row: pd.Series) -> str:
    """An estimate with its 95 % interval, in the terms a clinician reads."""
    values = [float(row[name]) for name in ("mean", "ci_low", "ci_high")]
    before, after, digits = "", f" {row['unit']}", 2
    if row["scale"] == "log_ratio":
        values, before, after = [float(np.exp(x)) for x in values], "ratio ", ""
    elif row["scale"] == "probability":
        values, after, digits = [100 * x for x in values], " %", 0
    mean, low, high = (f"{x:.{digits}f}".replace("-", "−") for x in values)
    return f"{before}{mean}{after} (95 % interval {low} to {high})"


def _behind(row: Mapping) -> str:
    return _counted(row["k_studies"], row["n_patients"])


def _counted(k: float, n: float) -> str:
    return f"{k:.0f} {'study' if k == 1 else 'studies'}, {n:.0f} patients"


# --- the questions ---------------------------------------------------------------------------


def _islets_c_peptide(inputs: Inputs) -> Finding:
    found = _mean(inputs, "c_peptide_gain", "cell_class", "psc_islet", 0.0)
    return _with_evidence(found, _seen_in_islets(inputs))


def _seen_in_islets(inputs: Inputs) -> str:
    """How many patients were seen to make C-peptide after stem-cell-derived grafts."""
    if inputs.evidence is None:
        return ""
    seen = c_peptide_seen(inputs.evidence, classes=("psc_islet", "psc_progenitor"))
    if seen.empty:
        return ""
    total = f"{seen['k'].sum():.0f} of {seen['n'].sum():.0f} patients of {len(seen)} cohorts"
    return f"C-peptide seen in {total} (islets and progenitors)"


def c_peptide_seen(
    evidence: Evidence, *, classes: Iterable[str] = (), strategies: Iterable[str] = ()
) -> pd.DataFrame:
    """Patients in whom C-peptide was found after treatment, one row a cohort: cohort, k, n.

    From the counts of responders (outcome C-peptide or engraftment) of eligible studies of the
    given cell classes and immune strategies (none given: any). Of several counts in a cohort the
    one with most patients counts, then the lowest bar (the largest number who passed it).
    """
    studies = evidence.studies[evidence.studies["include"] == "yes"]
    for column, wanted in (("cell_class", classes), ("immune_strategy", strategies)):
        if wanted:
            studies = studies[studies[column].isin(list(wanted))]
    rows = evidence.responders
    rows = rows[rows["outcome"].isin([*vocabulary.C_PEPTIDE_MEASURES, "engraftment"])]
    rows = rows[rows["arm"].str.startswith("treated") & rows["n_responders"].notna()]
    rows = rows.merge(studies[["study_id", "cohort"]], on="study_id")
    rows = rows.sort_values(["cohort", "n_total", "n_responders"], kind="stable")
    best = rows.drop_duplicates("cohort", keep="last")
    return best[["cohort", "n_responders", "n_total"]].set_axis(["cohort", "k", "n"], axis=1)


def _with_evidence(found: Finding, *more: str) -> Finding:
    text = "; ".join(filter(None, [found.evidence, *more]))
    return Finding(**{**found.__dict__, "evidence": text})


def _islets_insulin(inputs: Inputs) -> Finding:
    return _mean(inputs, "insulin_dose", "cell_class", "psc_islet", 0.0)


def _ever(inputs: Inputs, group_kind: str, group: str) -> Finding:
    """P(more than some become insulin-independent), from the model, else from the pooled counts."""
    counts = _ever_counts(inputs, group)
    row = _find(inputs, ("probability",), outcome="ever_independent", group_kind=group_kind,
                group=group, estimand="p_ever")  # fmt: skip
    threshold = f"share above {SOME:.0%}"
    estimand = f"ever_independent:{group}:p_ever"
    if row is not None:
        return Finding(
            normal_probability(row, SOME, above=True), estimand, threshold, row["k_studies"],
            row["n_patients"], f"{_estimate(row)}; {_behind(row)}{_count_words(counts, '; ')}",
            caveats=(_approximated(row), *filter(None, [row["note"]])),
        )  # fmt: skip
    if not len(counts):
        raise NotMeasured("nobody counts who became insulin-independent")
    k, n = counts["k"].sum(), counts["n"].sum()
    share = stats.beta(k + 0.5, n - k + 0.5)
    return Finding(
        float(share.sf(SOME)), estimand, threshold, len(counts), n, _count_words(counts),
        caveats=("pooled as if all cohorts were alike (Jeffreys prior): no model was fitted",),
    )  # fmt: skip


def _ever_counts(inputs: Inputs, group: str) -> pd.DataFrame:
    """Exact counts of ever independent, one a cohort; empty without evidence."""
    if inputs.evidence is None:
        return pd.DataFrame(columns=["k", "n"])
    counts, _ = durations.ever_counts(inputs.evidence)
    counts = counts[counts["bound"] == "exact"]
    return counts if group == "all" else counts[counts["diabetes_type"] == group]


def _count_words(counts: pd.DataFrame, before: str = "") -> str:
    if not len(counts):
        return ""
    return (f"{before}{counts['k'].sum():.0f} of {counts['n'].sum():.0f} patients in "
            f"{len(counts)} cohorts that count them exactly")  # fmt: skip


def _lasting(months: int) -> Callable[[Inputs], Finding]:
    """P(most of those who became insulin-free still are at `months`)."""

    def ask(inputs: Inputs) -> Finding:
        where = {"outcome": "independence_survival", "estimand": f"s_{months}"}
        row = _find(inputs, ("probability",), group_kind="all", group="all", **where)
        if row is None:
            raise NotMeasured(
                f"no estimate of how many are still insulin-free at {months / 12:g} years"
            )
        followed, last = _followed(inputs, months)
        beyond = last < months
        caveats = [_approximated(row)]
        if beyond:
            caveats.append(f"extrapolated: the longest fact is {last:.0f} months")
        return Finding(
            normal_probability(row, MOST, above=True),
            f"independence_survival:all:s_{months}",
            f"share of those who became insulin-free above {MOST:.0%}",
            row["k_studies"],
            row["n_patients"],
            "; ".join(filter(None, [_estimate(row), _behind(row), followed])),
            beyond_data=beyond,
            caveats=(*caveats, *filter(None, [row["note"]])),
        )

    return ask


def _followed(inputs: Inputs, months: float) -> tuple[str, float]:
    """How many patients are known to be free at least so long, and the longest time of any fact.

    Counted are patients of single facts (not those between two order statistics, who may not have
    reached it). Without evidence nothing is known to be followed: the longest time is zero.
    """
    if inputs.evidence is None:
        return "", 0.0
    facts, _ = durations.layer(inputs.evidence)
    facts = facts[facts["kind"] != "unresolved"]
    if facts.empty:
        return "", 0.0
    times = facts[["low", "high"]].to_numpy(dtype=float)
    last = float(times[np.isfinite(times)].max())
    reached = facts[facts["low"] >= months]["count"].sum()
    by_class = facts.groupby("cell_class")["count"].sum()
    label = vocabulary.CELL_CLASS_SHORT[by_class.idxmax()]
    words = (
        f"{reached:.0f} patients known to be free for {months / 12:g} years or more; "
        f"{by_class.max():.0f} of the {by_class.sum():.0f} patients behind it had {label}"
    )
    return words, last


def _msc(inputs: Inputs) -> Finding:
    """The MSC class with most studies decides; the others are named beside it."""
    found = {}
    for name in MSC_CLASSES:
        try:
            found[name] = _mean(inputs, "c_peptide_ratio", "cell_class", name, 0.0)
        except NotMeasured:
            continue
    if not found:
        raise NotMeasured("no pooled C-peptide of any MSC")
    best = max(found, key=lambda name: (found[name].controlled, found[name].k, found[name].n))
    rest = [
        f"{vocabulary.CELL_CLASS_SHORT[name]}: probability {other.probability:.2f}, "
        f"{_counted(other.k, other.n)}"
        for name, other in found.items()
        if name != best
    ]
    label = f"decided by {vocabulary.CELL_CLASS_SHORT[best]}, the class with most studies"
    return _with_evidence(found[best], label, *rest)


def _no_cancer(inputs: Inputs) -> Finding:
    limit = THRESHOLDS["malignancy_or_tumour"]
    name = "malignancy_or_tumour:any:rate"
    where = {"outcome": "safety", "group_kind": "all", "group": "all"}
    row = _find(inputs, ("per_100_patient_years",), estimand=name, **where)
    if row is None:
        raise NotMeasured("no rate of malignancy or tumour could be estimated")
    bound = _find(inputs, ("per_100_patient_years",), estimand=f"{name}_upper95", **where)
    upper = "" if bound is None else f"one-sided 95 % upper bound {bound['mean']:.1f}"
    open_still = bound is None or not bound["mean"] < limit
    return Finding(
        normal_probability(row, limit, above=False),
        f"safety:all:{name}",
        f"below {limit:g} per 100 patient-years",
        row["k_studies"],
        row["n_patients"],
        "; ".join(filter(None, [_estimate(row), upper, _behind(row)])),
        beyond_data=open_still,
        caveats=(
            *(("a rate above the limit is not ruled out",) if open_still else ()),
            _approximated(row),
            *_silent(inputs, "malignancy_or_tumour"),
        ),
    )


def _silent(inputs: Inputs, category: str) -> tuple[str, ...]:
    """How many studies say nothing on a harm."""
    summary = inputs.tables.get("safety_summary")
    if summary is None:
        return ()
    rows = summary[(summary["event_category"] == category) & (summary["relation"] == "any")]
    return tuple(
        f"{row.k_silent:.0f} studies with {row.n_silent:.0f} patients say nothing on it"
        for row in rows.itertuples()
    )


def _immunosuppression(inputs: Inputs) -> Finding:
    """P(severe infections are commoner with immunosuppression), else P(their rate is high)."""
    table = inputs.table("safety_by_strategy")
    table = table[(table["event_category"] == "severe_infection") & (table["relation"] == "any")]
    rows = {row["strategy"]: row for row in table.to_dict("records")}
    suppressed = rows.get("immunosuppression")
    if suppressed is None:
        raise NotMeasured("no severe infections were counted under immunosuppression")
    words = "; ".join(
        f"{name}: {row['events']:.0f} with severe infection of {row['n_patients']:.0f} patients in "
        f"{row['patient_years']:.0f} patient-years"
        for name, row in rows.items()
    )
    other = rows.get("neither")
    common = {"k": suppressed["k_studies"], "n": suppressed["n_patients"], "evidence": words}
    if other is not None:
        return Finding(
            rate_exceeds(suppressed, other),
            "severe_infection:any: rate with immunosuppression less rate with neither",
            "above 0 per 100 patient-years",
            caveats=("different studies are compared, not arms of one",),
            **common,
        )
    limit = THRESHOLDS["severe_infection"]
    rate = stats.gamma(suppressed["events"] + 0.5, scale=100 / suppressed["patient_years"])
    return Finding(
        float(rate.sf(limit)),
        "severe_infection:any: rate with immunosuppression",
        f"above {limit:g} per 100 patient-years",
        caveats=("no study without immunosuppression counts severe infections: no comparison",),
        **common,
    )


def rate_exceeds(first: Mapping, second: Mapping) -> float:
    """P(rate of the first > rate of the second), both with Jeffreys' Gamma posterior: exact.

    Each has `events` and `patient_years`. With rates l_i ~ Gamma(e_i + 1/2, t_i) the share
    l_1 t_1 / (l_1 t_1 + l_2 t_2) is Beta(e_1 + 1/2, e_2 + 1/2).
    """
    share = first["patient_years"] / (first["patient_years"] + second["patient_years"])
    return float(stats.beta.sf(share, first["events"] + 0.5, second["events"] + 0.5))


def _encapsulation(inputs: Inputs) -> Finding:
    """P(most patients with a capsule alone make C-peptide), from counts of patients."""
    facts = inputs.facts()
    seen = c_peptide_seen(facts, strategies=("encapsulation",))
    studies = facts.studies
    alone = studies[(studies["immune_strategy"] == "encapsulation") & (studies["include"] == "yes")]
    with_drugs = c_peptide_seen(facts, strategies=("encapsulation_plus_immunosuppression",))
    beside = ""
    if len(with_drugs):
        beside = (
            f"devices with immunosuppression: C-peptide seen in {with_drugs['k'].sum():.0f} of "
            f"{with_drugs['n'].sum():.0f} patients of {len(with_drugs)} cohorts"
        )
    if seen.empty:
        k, n = len(alone), alone["n_treated"].sum()
        reason = "no eligible study used a capsule alone"
        if k:
            reason = (f"{_counted(k, n)} with a capsule alone, and no count of patients who made "
                      "C-peptide")  # fmt: skip
        raise NotMeasured(reason, beside, k, n)
    k, n = seen["k"].sum(), seen["n"].sum()
    share = stats.beta(k + 0.5, n - k + 0.5)
    words = f"capsule alone: C-peptide seen in {k:.0f} of {n:.0f} patients of {len(seen)} cohorts"
    return Finding(
        float(share.sf(MOST)), "share of patients with C-peptide, capsule alone",
        f"share above {MOST:.0%}", len(seen), n, "; ".join(filter(None, [words, beside])),
        caveats=("pooled as if all cohorts were alike (Jeffreys prior)",),
    )  # fmt: skip


def _trials(inputs: Inputs) -> Finding:
    """P(most trials are small and short): the share of main reports that are both."""
    studies = inputs.facts().studies
    main = studies[(studies["include"] == "yes") & (studies["cohort_role"] == "primary")]
    known = main[main["n_treated"].notna() & main["followup_months"].notna()]
    if known.empty:
        raise NotMeasured("no eligible study prints its size and its follow-up")
    both = (known["n_treated"] < SMALL) & (known["followup_months"] <= SHORT)
    k = int(both.sum())
    share = stats.beta(k + 0.5, len(known) - k + 0.5)
    randomised = (main["design"] == "rct").sum()
    control = main["design"].isin(vocabulary.CONTROLLED_DESIGNS).sum()
    words = (f"{k} of {len(known)} treated fewer than {SMALL} patients and followed them at most "
             f"{SHORT} months; median {known['n_treated'].median():.0f} patients, "
             f"{known['followup_months'].median():.0f} months; {control} of {len(main)} had a "
             f"control group, {randomised} were randomised")  # fmt: skip
    return Finding(
        float(share.sf(MOST)), "share of trials that are small and short",
        f"share above {MOST:.0%}", len(known), known["n_treated"].sum(), words,
    )  # fmt: skip


def _types_differ(inputs: Inputs) -> Finding:
    """P(|type 2 less type 1| exceeds the smallest important difference of HbA1c)."""
    table = inputs.table("prior_posterior")
    rows = table[(table["outcome"] == "hba1c") & (table["parameter"] == "type_effect")]
    if rows.empty:
        raise NotMeasured("the studies of HbA1c are of one diabetes type only")
    row = rows.iloc[0]
    limit = min(abs(bound) for bound in IMPORTANT["hba1c"])
    mean, sd, prior = (float(row[name]) for name in ("posterior_mean", "posterior_sd", "prior_sd"))
    if not sd > 0:
        raise NotMeasured("the difference between the types has no posterior")
    behind = [
        _find(inputs, ("difference",), outcome="hba1c", group_kind="diabetes_type", group=kind,
              estimand=f"mean_{design}")
        for kind in vocabulary.DIABETES_TYPES
        for design in ("controlled", "uncontrolled")
    ]  # fmt: skip
    behind = [found for found in behind if found is not None]
    kinds = {found["group"] for found in behind}
    if kinds != set(vocabulary.DIABETES_TYPES):
        raise NotMeasured("no estimate of HbA1c for each of the two types")
    controlled = {found["group"] for found in behind if found["estimand"] == "mean_controlled"}
    words = (f"HbA1c, type 2 less type 1: {mean:.2f} points (SD {sd:.2f}; prior SD "
             f"{prior:.2f})").replace("-", "−")  # fmt: skip
    smallest = min(
        sum(found["k_studies"] for found in behind if found["group"] == kind) for kind in kinds
    )
    return Finding(
        float(stats.norm.cdf(-limit, mean, sd) + stats.norm.sf(limit, mean, sd)),
        "hba1c:type_effect (type 2 less type 1)",
        f"more than {limit:g} percentage points apart",
        smallest,
        sum(found["n_patients"] for found in behind),
        f"{words}; at least {smallest:.0f} studies of each type",
        controlled=controlled == kinds,
        caveats=(
            "probability by a normal approximation",
            "between studies, not within one: cells and patients differ as well",
            *(("nearly as wide as its prior",) if sd > 0.8 * prior else ()),
        ),
    )


CLAIMS = (
    Claim(
        "Islets made from stem cells produce measurable C-peptide in long-standing type 1 diabetes",
        "islets make C-peptide", EFFECT, "mean gain of C-peptide, PSC-derived islets",
        _islets_c_peptide,
        ("patients were selected for severe hypoglycaemia and took immunosuppressants",),
    ),
    Claim(
        "Islets made from stem cells lower the insulin dose", "islets lower insulin", EFFECT,
        "mean change of insulin dose, PSC-derived islets", _islets_insulin,
    ),
    Claim(
        "Some people become insulin-free for a time", "some insulin-free", OCCURRENCE,
        "share ever insulin-independent", lambda inputs: _ever(inputs, "all", "all"),
        ("without control groups nobody knows how many would have become free anyway, above all "
         "soon after diagnosis",),
    ),
    Claim(
        "In type 2 diabetes HbA1c falls", "T2D: HbA1c falls", EFFECT,
        "mean change of HbA1c, type 2 diabetes",
        lambda inputs: _mean(inputs, "hba1c", "diabetes_type", "T2D", 0.0),
    ),
    Claim(
        "In type 2 diabetes C-peptide rises", "T2D: C-peptide rises", EFFECT,
        "mean ratio of C-peptide, type 2 diabetes",
        lambda inputs: _mean(inputs, "c_peptide_ratio", "diabetes_type", "T2D", 0.0),
    ),
    Claim(
        "In type 2 diabetes some people stop insulin", "T2D: some stop insulin", OCCURRENCE,
        "share ever insulin-independent, type 2 diabetes",
        lambda inputs: _ever(inputs, "diabetes_type", "T2D"),
        ("weight, diet and tablets also free people with type 2 diabetes of insulin",),
    ),
    Claim(
        "Mesenchymal stromal cells preserve residual beta-cell function", "MSC preserve beta cells",
        EFFECT, "mean ratio of C-peptide, MSC", _msc,
        ("both types of diabetes are pooled within a class of cells",),
    ),
    Claim(
        "For most who become insulin-free, it lasts five years", "lasts 5 years", OCCURRENCE,
        "share still insulin-free at 60 months", _lasting(60),
    ),
    Claim(
        "For most who become insulin-free, it lasts ten years", "lasts 10 years", OCCURRENCE,
        "share still insulin-free at 120 months", _lasting(120),
    ),
    Claim(
        "There is no added risk of cancer", "no added cancer", EFFECT,
        "rate of malignancy or tumour", _no_cancer,
        ("no control group was followed for it: a rate, not an added risk",),
    ),
    Claim(
        "Immunosuppression carries a risk of infection", "infection risk", EFFECT,
        "rate of severe infection with immunosuppression", _immunosuppression,
        ("what organ and donor-islet transplantation taught is outside these data",),
    ),
    Claim(
        "Encapsulation can replace immunosuppression", "capsule instead of drugs", EFFECT,
        "share of patients with C-peptide, capsule alone", _encapsulation,
    ),
    Claim(
        "Trials are small, selected and short", "small, short trials", DESCRIPTION,
        "share of trials that are small and short", _trials,
        ("how patients were selected is not counted; main reports of eligible cohorts only",),
    ),
    Claim(
        "Results differ between type 1 and type 2 diabetes", "types differ", EFFECT,
        "difference of HbA1c change between the types", _types_differ,
    ),
)  # fmt: skip


def table(
    estimates: pd.DataFrame, tables: Mapping[str, pd.DataFrame], evidence: Evidence | None
) -> pd.DataFrame:
    """The verdict on every claim.

    Parameters
    ----------
    estimates : all estimates of the project (`models.result.ESTIMATE_COLUMNS`); may be empty.
    tables : the tables of the run by name; used are prior_posterior, safety_by_strategy and
        safety_summary. Any may be missing.
    evidence : the validated evidence tables, or None.

    Returns
    -------
    DataFrame with `COLUMNS`, one row a claim, in the order of `CLAIMS`. `probability` is that of
    the claim being true, NaN where the verdict is "not known"; the caveat then gives the reason.
    """
    inputs = Inputs(estimates, tables, evidence)
    return pd.DataFrame([judge(claim, inputs) for claim in CLAIMS], columns=COLUMNS)


def judge(claim: Claim, inputs: Inputs) -> dict:
    """The verdict on one claim: a row of the table, by column."""
    row = {"claim": claim.claim, "short": claim.short, "estimand": claim.estimand}
    unknown = {"probability": np.nan, "threshold": "", "verdict": NOT_KNOWN}
    try:
        found = claim.ask(inputs)
    except NotMeasured as why:
        caveat = "; ".join([str(why), *claim.caveats])
        return {**row, **unknown, "k_studies": why.k, "n_patients": why.n,
                "evidence": why.evidence, "caveat": caveat}  # fmt: skip
    word = verdict(
        found.probability,
        kind=claim.kind,
        k_studies=found.k,
        controlled=found.controlled,
        beyond_data=found.beyond_data,
    )
    caveats = [*_limits(claim, found), *found.caveats, *claim.caveats]
    if word == NOT_KNOWN:
        caveats.insert(0, "the estimate has no usable spread")
    return {
        **row,
        "estimand": found.estimand,
        "probability": found.probability,
        "threshold": found.threshold,
        "verdict": word,
        "k_studies": found.k,
        "n_patients": found.n,
        "evidence": found.evidence,
        "caveat": "; ".join(caveats),
    }


def _limits(claim: Claim, found: Finding) -> list[str]:
    """What caps the verdict, in words."""
    limits = []
    if found.k < ENOUGH_STUDIES:
        limits.append(f"fewer than {ENOUGH_STUDIES} studies")
    if claim.kind == EFFECT and not found.controlled:
        limits.append("no control groups")
    return limits
