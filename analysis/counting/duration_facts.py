"""From published facts on insulin independence to one likelihood-ready layer of facts a cohort.

Papers tell the same durations in many ways: single patients, "m of k at 12 months", a median with
a range, the longest few. Facts of one study, and reports of one cohort, restate one another. This
room chooses for each cohort one report and one mutually exclusive set of facts, and says of every
row not used why. It never looks at names of studies: all rules read columns.

Rules for durations (`layer`). Eligible are rows on treated patients of studies with include=yes.
1. A study's facts are read as the richest of: all patients listed; order statistics (range,
   median) with the listed best or worst patients; landmark counts; the listed worst, or a longest
   or shortest duration alone; a mean.
2. Of reports on the same patients (one cohort, or a declared or possible overlap) the one observed
   longest is used (then most patients); reports that are an earlier report, a subset or a duplicate
   only where nothing else speaks.
3. Counts at a time after treatment (`at_time`) start with the onset of independence; durations
   (`lasted`, patients, summaries) start when insulin was stopped.
4. The longest duration of a range may be unfinished, and others with it: it is a lower bound where
   the words or the length of follow-up say so, ended where the patient resumed, else either. The
   month in which a listed worst patient resumed may count from treatment: it is an upper bound.
5. The number ever independent is the denominator of a landmark where it is known exactly; else the
   unresolved patients (never free, or free no longer) enter through the probability of ever
   becoming free.

Rules for ever independent (`ever_counts`): one count for the same patients, that of the primary
report.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import pandas as pd

from analysis.cohorts import patient_groups
from analysis.evidence import Evidence, label_of
from analysis.records import records

EARLIEST_LANDMARK = 6.0
"""Months. Before, "not free" may be "not yet free": reported onsets reach six months."""

MEAN_LIMIT = 120.0
"""Months to which a printed mean is taken to be restricted where no follow-up is printed."""

SHORTEST = 0.1
"""Months. A printed duration of zero becomes three days, so that its density is finite."""

NEAR_THE_END = 3.0
"""Months. A longest duration so near the longest follow-up is unfinished; onset takes as long."""

_WHOLE_FOLLOWUP = ("longest", "minimum", "unstated", "")
"""Kinds of follow-up that tell, or may tell, when the last patient was seen; no mean or median."""

_LESSER_ROLES = ("earlier_report", "subset", "duplicate")
_RESUMED_SUFFIXES = ("_relapsed", "_resumed")
_ALL_LISTED = "every independent patient is listed"

KINDS = {
    "exact": "duration of one patient, or of each of `count` patients: `low`",
    "right_censored": "free for at least `low`",
    "interval": "resumed between `low` and `high` (0 = from the start)",
    "landmark": "free at `low`, and resumed by `high` where that is given",
    "order_statistic": "the shortest or the median of the listed patients, at `low`",
    "order_between": "patients between two order statistics, `low` to `high`",
    "order_top": "`count` patients lasted at least `low`, the longest of them at least `high`",
    "order_ended": "`count` patients lasted at least `low`, the longest of them resumed at `high`",
    "order_longest": "as order_top or as order_ended: whether the longest had ended is not known",
    "mean": "mean `low` of `count` patients, restricted to `high`",
    "unresolved": "`count` treated patients never free, or free no longer at `high`",
}

FACT_COLUMNS = [
    "study_id", "label", "cohort", "cell_class", "diabetes_type", "kind", "low", "high", "count",
    "time_origin", "through_ever", "min_ever", "k_ever", "n_total", "source_rows", "reason",
]  # fmt: skip

EXCLUSION_COLUMNS = ["table", "line", "study_id", "arm", "fact", "stage", "reason"]

EVER_COLUMNS = [
    "study_id", "label", "cohort", "cell_class", "diabetes_type", "design", "controlled", "onset",
    "conditioning", "k", "n", "bound", "k_control", "n_control", "source_rows", "seen_in",
]  # fmt: skip


@dataclass(frozen=True)
class Piece:
    """One statement on `count` patients of one study; see `KINDS` for low and high (months)."""

    kind: str
    low: float
    high: float
    count: float
    lines: tuple[int, ...]
    reason: str
    origin: str = "independence"
    through_ever: bool = False
    min_ever: int = 0


@dataclass(frozen=True)
class Candidate:
    """The facts of one report, read in the richest consistent way."""

    study: dict
    pieces: tuple[Piece, ...]
    k_ever: float
    n_total: float
    left_over: tuple[tuple[int, str], ...]

    @property
    def observed(self) -> float:
        """The longest time, months, of which the facts speak."""
        return max((_observed(piece) for piece in self.pieces), default=0.0)

    @property
    def patients(self) -> float:
        return sum(p.count for p in self.pieces if p.kind != "unresolved")


class _Unusable(Exception):
    """No duration can be read from the rows; the message says why."""


def layer(evidence: Evidence) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One mutually exclusive layer of duration facts a cohort.

    Returns
    -------
    facts : `FACT_COLUMNS`, one row a statement; times in months. `time_origin` is `treatment` or
        `independence`; `through_ever` marks patients whose number ever independent is not known,
        so that their likelihood includes the probability of becoming free.
    exclusions : `EXCLUSION_COLUMNS`, one row for each row of independence.csv not in a fact.
    """
    studies = _studies(evidence)
    rows = evidence.independence
    notes: dict[int, str] = {}
    candidates: list[Candidate] = []
    for study_id, group in rows.groupby("study_id", sort=False):
        study = studies[study_id]
        refusal = _ineligible(study)
        if refusal:
            notes |= dict.fromkeys(group["line"], refusal)
            continue
        usable, dropped = _usable_rows(group)
        notes |= dropped
        try:
            candidates.append(_read_study(study, usable, _cohort_ever(evidence, studies, study)))
        except _Unusable as why:
            notes |= dict.fromkeys((r["line"] for r in usable), str(why))
    chosen, beaten = _one_a_cohort(candidates)
    for candidate, why in beaten:
        lines = {line for piece in candidate.pieces for line in piece.lines}
        notes |= dict.fromkeys(lines | {line for line, _ in candidate.left_over}, why)
    for candidate in chosen:
        notes |= dict(candidate.left_over)
    facts = _facts_table(chosen)
    used = _lines(facts["source_rows"])
    return facts, _exclusion_table(rows, used, notes, "durations")


def ever_counts(
    evidence: Evidence, overlaps: str = "declared"
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One count of ever independent for the same patients.

    `bound` is `exact` or `at_least` (the count is a lower bound). `onset` is `new` where the
    study states that diabetes was new (words, or at most 6 months), `longstanding` where it states
    at least a year, else `unstated`. Of reports on the same patients the primary one counts, then
    the one with most patients, then an exact count, then the latest. `overlaps` says which declared
    overlaps make reports ones on the same patients (`cohorts.OVERLAPS`).

    Returns
    -------
    counts : `EVER_COLUMNS`, one row a cohort.
    exclusions : `EXCLUSION_COLUMNS`, one row for each `ever` row not used.
    """
    studies = _studies(evidence, overlaps)
    rows = evidence.independence[evidence.independence["fact"] == "ever"]
    notes: dict[int, str] = {}
    offered: dict[str, list[tuple[tuple, dict, dict]]] = {}
    for study_id, group in rows.groupby("study_id", sort=False):
        study = studies[study_id]
        refusal = _ineligible(study)
        if refusal:
            notes |= dict.fromkeys(group["line"], refusal)
            continue
        usable, dropped = _usable_rows(group)
        usable = [r for r in usable if r["n_total"] > 0 and not math.isnan(r["k"])]
        notes |= dropped
        if not usable:
            continue
        main = _main_arm(usable)
        rest = [r for r in usable if r["arm"] == main]
        notes |= {r["line"]: "part of the arm used" for r in usable if r["arm"] != main}
        row = max(rest, key=lambda r: (r["n_total"], r["bound"] != "at_least"))
        notes |= {r["line"]: "restates the count used" for r in rest if r is not row}
        rank = (
            study["cohort_role"] == "primary",
            study["cohort_role"] not in _LESSER_ROLES,
            row["n_total"],
            row["bound"] != "at_least",
            _number(study["year"]),
            study_id,
        )
        offered.setdefault(study["patients"], []).append((rank, study, row))
    best = {patients: max(counts, key=lambda c: c[0]) for patients, counts in offered.items()}
    for patients, counts in offered.items():
        speaker = best[patients][1]["study_id"]
        for _, study, row in counts:
            if study["study_id"] != speaker:
                notes[row["line"]] = f"same patients as {speaker}, whose count is used"
    counts = pd.DataFrame(
        [_ever_row(study, row, rows) for _, study, row in best.values()], columns=EVER_COLUMNS
    )
    used = _lines(counts["source_rows"])
    return counts, _exclusion_table(rows, used, notes, "ever")


def ever_contrasts(evidence: Evidence) -> pd.DataFrame:
    """Studies that count ever independent in a treated and in a control arm.

    Returns study_id, label, cohort, cell_class, diabetes_type, k, n, k_control, n_control and
    source_rows, one row a study with include=yes. Two such studies of one cohort both appear.
    """
    studies = _studies(evidence)
    rows = evidence.independence[evidence.independence["fact"] == "ever"]
    found = []
    for study_id, group in rows.groupby("study_id", sort=False):
        study = studies[study_id]
        if _ineligible(study):
            continue
        usable, _ = _usable_rows(group)
        usable = [r for r in usable if r["bound"] != "at_least" and r["n_total"] > 0]
        if not usable:
            continue
        main = _main_arm(usable)
        row = _ever_row(study, next(r for r in usable if r["arm"] == main), rows)
        if row["controlled"]:
            found.append(row)
    columns = [
        "study_id", "label", "cohort", "cell_class", "diabetes_type", "k", "n", "k_control",
        "n_control", "source_rows",
    ]  # fmt: skip
    return pd.DataFrame(found, columns=columns)


# --- one study --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Ever:
    """What is known of the number ever independent: exact k of n, or at least k of n."""

    exact: float = math.nan
    at_least: float = 0.0
    n: float = math.nan
    lines: tuple[int, ...] = ()


def _read_study(study: dict, rows: list[dict], cohort_ever: list[dict]) -> Candidate:
    """The facts of one report as pieces. Raises _Unusable when no duration can be read."""
    spoken = [r for r in rows if r["fact"] != "ever"]
    if not spoken:
        raise _Unusable("says who became free, not for how long")
    main = _main_arm([r for r in spoken if not _of_resumed(r["arm"])] or spoken)
    inside = [r for r in rows if r["arm"] == main]
    resumed = [r for r in rows if _of_resumed(r["arm"]) and r["arm"].startswith(main)]
    aside = [r for r in rows if r not in inside and r not in resumed]
    ever = _ever_of(inside, cohort_ever, spoken)
    readings = []
    for read in (_listed, _order_statistics, _landmarks, _extremes, _mean):
        found = read(study, inside, resumed, ever)
        if found:
            readings.append(found)
    if not readings:
        raise _Unusable("no duration, landmark or summary that can be used without guessing")
    pieces, k_ever = max(readings, key=lambda found: _richness(found[0]))
    used = {line for piece in pieces for line in piece.lines}
    left = [(r["line"], "part of, or another arm than, the arm used") for r in aside]
    left += [
        (r["line"], "restated by the facts used") for r in inside + resumed if r["line"] not in used
    ]
    n_total = ever.n if not math.isnan(ever.n) else max((r["n_total"] for r in inside), default=0)
    return Candidate(
        study, tuple(pieces), k_ever, n_total, tuple(x for x in left if x[0] not in used)
    )


def _richness(pieces: Sequence[Piece]) -> tuple:
    """Listed patients first, then the number of distinct times spoken of; a mean last."""
    listed = all(piece.reason == _ALL_LISTED for piece in pieces)
    times = {t for p in pieces for t in (p.low, p.high) if 0 < t < math.inf}
    return (listed, all(piece.kind != "mean" for piece in pieces), len(times))


def _listed(study, rows, resumed, ever):
    """Every independent patient is listed: independent draws."""
    patients = [r for r in rows if r["fact"] == "patient" and r["sampling"] == "all"]
    if not patients:
        return None
    pieces = [
        Piece(
            "exact" if r["status"] == "resumed" else "right_censored",
            max(r["value"], SHORTEST),
            math.inf,
            1,
            (r["line"],),
            _ALL_LISTED,
            time_origin(r),
        )
        for r in patients
    ]
    return pieces, ever.exact if ever.exact >= len(pieces) else float(len(pieces))


def _order_statistics(study, rows, resumed, ever):
    """A range, a median, or both, of k patients, with the listed best where they complete it."""
    summaries = _summaries(rows)
    spread, median = summaries.get("range"), summaries.get("median")
    main = spread or median
    if main is None or not main["k"] >= 1:
        return None
    k = int(main["k"])
    lines = tuple(sorted({r["line"] for r in (spread, median) if r}))
    low, high = _range_of(spread, median)
    middle = median["value"] if median else math.nan
    lasted = _lasted_by_all(rows, k)
    start, pieces = 0.0, []
    if lasted:
        start = lasted["months"]
        lines = (*lines, lasted["line"])
        if not math.isnan(low) and low <= start + 0.1:
            low = math.nan
    best = _complete_best(rows, k)
    if resumed:
        pieces += _with_resumed(study, k, low, high, resumed, lines)
    elif best:
        pieces += _with_best(k, start, low, middle, high, best, lines)
    else:
        top = _top_kind(study, spread if not math.isnan(high) and spread else main, high)
        pieces += _order_pieces(k, start, low, middle, high, lines, top)
    k_ever = float(k)
    if lasted:
        pieces, k_ever = _condition_on_lasting(pieces, lasted, k, ever)
    return pieces, k_ever


def _top_kind(study, row, value: float) -> str:
    """How the longest duration is read: `order_top`, `order_ended` or `order_longest`."""
    if row["fact"] == "patient":
        return "order_ended" if row["status"] == "resumed" else "order_top"
    past = value - _number(study["followup_months"])
    kind = study.get("followup_kind", "")
    if kind == "minimum" and past < -NEAR_THE_END:
        return "order_ended"  # everyone was followed for longer
    whole = kind in _WHOLE_FOLLOWUP and past >= -NEAR_THE_END
    at_the_end = whole and (kind != "minimum" or past <= NEAR_THE_END)
    return "order_top" if row["bound"] == "at_least" or at_the_end else "order_longest"


_WHY_TOP = {
    "order_top": "the longest, unfinished, and others perhaps with it",
    "order_ended": "the longest, ended",
    "order_longest": "the longest, perhaps unfinished, and others perhaps with it",
}


def _order_pieces(k, start, low, middle, high, lines, top="order_longest") -> list[Piece]:
    """Joint order statistics of k durations; the longest of them is read as the kind `top`.

    Joint density of order statistics: David & Nagaraja 2003, Order Statistics, eq. 2.2.1, without
    its constant. For even k the median lies between two patients: half are below, half above.
    """
    pieces = []
    has_low, has_high, has_middle = (not math.isnan(x) for x in (low, high, middle))
    if k == 1:
        longest = max(x for x in (low, middle, high, start) if not math.isnan(x))
        return [Piece(top, start, longest, 1, lines, "one patient, perhaps unfinished")]
    floor = low if has_low else start
    if has_low:
        pieces.append(Piece("order_statistic", max(low, SHORTEST), low, 1, lines, "the shortest"))
    if has_middle:
        below = k // 2 - has_low
        if k % 2 and below >= 0:
            pieces.append(Piece("order_statistic", middle, middle, 1, lines, "the median"))
        if below > 0:
            why = "between order statistics"
            pieces.append(Piece("order_between", floor, middle, below, lines, why))
        floor, above = middle, k // 2
    else:
        above = k - has_low
    if has_high:
        pieces.append(Piece(top, floor, high, above, lines, _WHY_TOP[top]))
    elif above > 0:
        why = "between order statistics"
        pieces.append(Piece("order_between", floor, math.inf, above, lines, why))
    return pieces


def _with_best(k, start, low, middle, high, best, lines) -> list[Piece]:
    """The best patients are listed and are all those still free: the others resumed before."""
    pieces = [
        Piece("right_censored", r["value"], math.inf, 1, (r["line"],), "listed, still free")
        for r in best
    ]
    lines = (*lines, *(r["counted_by"] for r in best[:1]))
    rest = k - len(best)
    ceiling = max([r["value"] for r in best] + ([] if math.isnan(high) else [high]))
    floor = start
    if not math.isnan(low) and rest > 0:
        pieces.append(Piece("order_statistic", max(low, SHORTEST), low, 1, lines, "the shortest"))
        floor, rest = low, rest - 1
    if not math.isnan(middle):
        free_below = sum(r["value"] < middle for r in best)
        below = k // 2 - free_below - (floor == low)
        if 0 <= below <= rest:
            why = "resumed before the median"
            pieces.append(Piece("order_between", floor, middle, below, lines, why))
            floor, rest = middle, rest - below
    pieces.append(
        Piece("order_between", floor, ceiling, rest, lines, "the others resumed by the longest")
    )
    return [p for p in pieces if p.count > 0]


def _with_resumed(study, k, low, high, resumed, lines) -> list[Piece]:
    """Those who resumed are counted apart (arm ..._relapsed): the others are still free."""
    counted = max(resumed, key=lambda r: r["k"] if not math.isnan(r["k"]) else -1)
    k_resumed = int(min(counted["k"], k)) if not math.isnan(counted["k"]) else k
    lines = (*lines, *(r["line"] for r in resumed))
    middle = _summaries(resumed).get("median", {}).get("value", math.nan)
    ceiling = high if not math.isnan(high) else math.inf
    if k_resumed > 1:
        pieces = [
            replace(
                p,
                high=min(p.high, ceiling),
                reason=p.reason.replace("the median", "the median of those who resumed"),
            )
            for p in _order_pieces(k_resumed, 0.0, low, middle, math.nan, lines)
        ]
    elif k_resumed and math.isnan(middle):
        floor = 0.0 if math.isnan(low) else low
        pieces = [Piece("interval", floor, ceiling, 1, lines, "the one who resumed")]
    elif k_resumed:
        at = max(middle, SHORTEST)
        pieces = [Piece("exact", at, math.inf, 1, lines, "the one who resumed")]
    else:
        pieces = []
    free = k - k_resumed
    if free:
        followed = _number(study["followup_months"])
        whole = study.get("followup_kind", "") == "minimum"
        to_the_end = whole and not math.isnan(high) and followed <= high + 1
        if to_the_end:
            why = "still free at the end of follow-up, which the range reaches"
            pieces.append(Piece("right_censored", high, math.inf, free, lines, why))
        else:
            floor = low if not math.isnan(low) else SHORTEST
            top = high if not math.isnan(high) else floor
            why = "still free; only the longest time is printed"
            pieces.append(Piece("order_top", floor, top, free, lines, why))
    return pieces


def _condition_on_lasting(pieces, lasted, k, ever):
    """The k summarised are those who lasted some months; the other treated did not."""
    t, n = lasted["months"], lasted["n_total"]
    line = (lasted["line"],)
    if ever.exact >= k and ever.n == n:
        others = ever.exact - k
        if others:
            pieces = [*pieces, Piece("interval", 0, t, others, line, "did not last so long")]
        return pieces, ever.exact
    why = "never free, or not for so long"
    marked = [replace(p, through_ever=True) for p in pieces]
    unresolved = Piece("unresolved", 0, t, n - k, line, why, through_ever=True)
    return [*marked, unresolved], math.nan


def _landmarks(study, rows, resumed, ever):
    """Counts still free at one or more times, of those ever free where that number is known."""
    marks = [
        r
        for r in rows
        if (
            (r["fact"] == "lasted" or (r["fact"] == "at_time" and r["months"] >= EARLIEST_LANDMARK))
            and r["n_total"] > 0
            and not math.isnan(r["k"])
        )
    ]
    if not marks:
        return None
    n = max(r["n_total"] for r in marks)
    marks = _falling([r for r in marks if r["n_total"] == n])
    first = marks[0]
    of_free = ever.exact == n and ever.n != n
    known = not math.isnan(ever.exact) and (of_free or ever.n == n) and first["k"] <= ever.exact
    lines = ever.lines if known or (ever.at_least and ever.n == n) else ()
    through = not known
    pieces = []
    at_least = any(r["bound"] == "at_least" for r in marks)
    if not at_least:
        lost = (ever.exact if known else n) - first["k"]
        if lost:
            kind = "interval" if known else "unresolved"
            least = (
                0 if known or ever.n != n else int(max(0, min(ever.at_least - first["k"], lost)))
            )
            pieces.append(
                Piece(
                    kind, 0, first["months"], lost, (first["line"], *lines),
                    "resumed before the first landmark" if known else "never free, or no longer",
                    time_origin(first), through, least,
                )
            )  # fmt: skip
        for mark, later in pairwise(marks):
            gone = mark["k"] - later["k"]
            if gone:
                both = (mark["line"], later["line"])
                pieces.append(
                    Piece("landmark", mark["months"], later["months"], gone, both,
                          "resumed between two landmarks", time_origin(mark), through)
                )  # fmt: skip
    last = marks[-1]
    if last["k"]:
        pieces.append(_last_mark(study, rows, last, lines, through))
    elif not pieces:
        return None
    return pieces, ever.exact if known else math.nan


def _last_mark(study, rows, last, lines, through) -> Piece:
    """Those free at the last landmark, with the longest duration known among them."""
    longest = [
        r for r in rows
        if (r["fact"] == "patient" and r["sampling"] == "best" and r["status"] != "resumed")
        or (r["fact"] == "duration_summary" and r["duration_statistic"] == "max")
    ]  # fmt: skip
    longest = [r for r in longest if r["value"] > last["months"]]
    origin = time_origin(last)
    if longest:
        top = max(longest, key=lambda r: r["value"])
        kind = _top_kind(study, top, top["value"])
        return Piece(kind, last["months"], top["value"], last["k"],
                     (last["line"], top["line"], *lines),
                     "free at the landmark, one of them longer", origin, through)  # fmt: skip
    return Piece("landmark", last["months"], math.inf, last["k"], (last["line"], *lines),
                 "free at the last landmark", origin, through)  # fmt: skip


def _extremes(study, rows, resumed, ever):
    """The listed worst patients, a shortest or a longest duration, of k independent patients."""
    summaries = _summaries(rows)
    worst = [
        r for r in rows
        if r["fact"] == "patient" and r["sampling"] == "worst" and r["status"] == "resumed"
    ]  # fmt: skip
    shortest, longest = summaries.get("min"), summaries.get("max")
    best = [r for r in rows if r["fact"] == "patient" and r["sampling"] == "best"]
    sizes = [ever.exact, *(r["k"] for r in (shortest, longest) if r)]
    sizes = [x for x in sizes if not math.isnan(x)]
    if not sizes or not (worst or shortest or longest or best):
        return None
    k = int(sizes[0])
    pieces, floor = [], 0.0
    for r in worst:
        why = "among the worst of the independent; the month may count from treatment"
        month = max(r["value"], SHORTEST)
        pieces.append(Piece("interval", 0.0, month, 1, (r["line"],), why, time_origin(r)))
        floor = max(floor, r["value"])
    if shortest and not worst:
        value = max(shortest["value"], SHORTEST)
        pieces.append(
            Piece("order_statistic", value, value, 1, (shortest["line"],), "the shortest")
        )
        floor = value
    rest = k - len(pieces)
    tops = [r for r in [*best, *([longest] if longest else [])] if r["value"] > floor]
    if rest > 0 and tops:
        top = max(tops, key=lambda r: r["value"])
        lines = (top["line"], *ever.lines)
        kind = _top_kind(study, top, top["value"])
        why = f"outlasted the worst; {_WHY_TOP[kind]}" if floor else _WHY_TOP[kind]
        pieces.append(Piece(kind, floor, top["value"], rest, lines, why))
    elif rest > 0 and floor > 0:
        why = "outlasted the worst"
        pieces.append(Piece("right_censored", floor, math.inf, rest, ever.lines, why))
    return (pieces, float(k)) if pieces else None


def _mean(study, rows, resumed, ever):
    """A mean of k durations, taken to be restricted to the follow-up (censoring unknown)."""
    mean = _summaries(rows).get("mean")
    if mean is None or not mean["k"] >= 1 or not mean["value"] > 0:
        return None
    followed = _number(study["followup_months"])
    whole = study.get("followup_kind", "") in _WHOLE_FOLLOWUP
    limit = followed if whole and followed > mean["value"] else MEAN_LIMIT
    why = "mean, censoring not described: restricted to the follow-up, variance widened"
    return [Piece("mean", mean["value"], limit, mean["k"], (mean["line"],), why)], mean["k"]


# --- small readers ----------------------------------------------------------------------------


def _summaries(rows: Iterable[dict]) -> dict[str, dict]:
    """The duration summaries by statistic; of several, the one of most patients."""
    found: dict[str, dict] = {}
    for r in rows:
        if r["fact"] == "duration_summary":
            held = found.get(r["duration_statistic"])
            if held is None or (r["k"] > held["k"]):
                found[r["duration_statistic"]] = r
    return found


def _range_of(spread, median) -> tuple[float, float]:
    """Low and high of a range row, else those printed beside the median."""
    for row in (spread, median):
        if row is not None and not math.isnan(row["low"]) and not math.isnan(row["high"]):
            return row["low"], row["high"]
    return math.nan, math.nan


def _lasted_by_all(rows, k) -> dict | None:
    """The `lasted` row that counts the very k patients of a summary, if any."""
    found = [r for r in rows if r["fact"] == "lasted" and r["k"] == k and r["n_total"] >= k]
    return max(found, key=lambda r: r["months"]) if found else None


def _complete_best(rows, k) -> list[dict]:
    """The listed best, when a count says that they are all those still free; else nothing."""
    best = [
        r
        for r in rows
        if r["fact"] == "patient" and r["sampling"] == "best" and r["status"] != "resumed"
    ]
    counts = [r for r in rows if r["fact"] == "at_time" and r["k"] == len(best)]
    if not best or not counts or len(best) > k:
        return []
    return [{**r, "counted_by": counts[0]["line"]} for r in best]


def _falling(marks: list[dict]) -> list[dict]:
    """Landmarks in order of time whose counts never rise (late starters are no resumption)."""
    kept: list[dict] = []
    for mark in sorted(marks, key=lambda r: (-r["months"], -r["k"])):
        if not kept or (mark["k"] >= kept[-1]["k"] and mark["months"] < kept[-1]["months"]):
            kept.append(mark)
    return kept[::-1]


def _ever_of(rows, cohort_ever, spoken) -> _Ever:
    """The study's own count of ever independent, else that of a report of the same patients."""
    own = [r for r in rows if r["fact"] == "ever"]
    exact = [r for r in own if r["bound"] in ("exact", "")]
    if exact:
        row = max(exact, key=lambda r: r["n_total"])
        return _Ever(row["k"], row["k"], row["n_total"], (row["line"],))
    bound = [r for r in own if r["bound"] == "at_least"]
    if bound:
        row = max(bound, key=lambda r: r["k"])
        return _Ever(math.nan, row["k"], row["n_total"], (row["line"],))
    sizes = {r["n_total"] for r in spoken}
    shared = [r for r in cohort_ever if r["n_total"] in sizes]
    if shared:
        row = shared[0]
        return _Ever(row["k"], row["k"], row["n_total"], (row["line"],))
    return _Ever()


def _cohort_ever(evidence, studies, study) -> list[dict]:
    """Exact counts of ever independent by other reports of the cohort."""
    rows = evidence.independence
    rows = rows[(rows["fact"] == "ever") & rows["bound"].isin(["exact", ""])]
    return [
        r
        for r in records(rows)
        if r["study_id"] != study["study_id"]
        and studies[r["study_id"]]["cohort"] == study["cohort"]
        and r["arm"].startswith("treated")
    ]


def _usable_rows(group: pd.DataFrame) -> tuple[list[dict], dict[int, str]]:
    """Rows on treated patients that are neither selected nor a control arm's."""
    usable, dropped = [], {}
    for r in records(group):
        if r["arm"].startswith("control"):
            dropped[r["line"]] = "control arm: for the comparison of arms only"
        elif r["bound"] == "selected":
            dropped[r["line"]] = "selected patients: not a rate"
        else:
            usable.append(r)
    return usable, dropped


def _main_arm(rows: list[dict]) -> str:
    """`treated` where it is an arm, else the arm with most patients."""
    sizes: dict[str, float] = {}
    for r in rows:
        size = r["n_total"] if not math.isnan(r["n_total"]) else 0.0
        sizes[r["arm"]] = max(sizes.get(r["arm"], 0.0), size)
    return "treated" if "treated" in sizes else max(sizes, key=sizes.__getitem__)


def _of_resumed(arm: str) -> bool:
    return arm.endswith(_RESUMED_SUFFIXES)


def time_origin(row: dict) -> str:
    """When the clock of a row starts, `treatment` or `independence` (insulin stopped): as its
    column time_origin says, else by its fact."""
    stated = row.get("time_origin", "")
    if stated in ("treatment", "independence"):
        return stated
    return "treatment" if row["fact"] == "at_time" else "independence"


def _observed(piece: Piece) -> float:
    """The longest time a piece speaks of; a mean speaks of its own value."""
    if piece.kind == "mean":
        return piece.low
    return max((t for t in (piece.low, piece.high) if math.isfinite(t)), default=0.0)


def _number(value) -> float:
    return float(value) if value not in ("", None) else math.nan


# --- cohorts ----------------------------------------------------------------------------------


def _studies(evidence: Evidence, overlaps: str = "declared") -> dict[str, dict]:
    groups = patient_groups(evidence.studies, overlaps)
    return {
        s["study_id"]: {**s, "patients": groups[s["study_id"]], "label": label_of(s)}
        for s in records(evidence.studies)
    }


def _ineligible(study: dict) -> str:
    """Why a study may not enter a model; empty when it may."""
    if study["include"] != "yes":
        return f"study kept as {study['include']}, not pooled"
    if study["design"] == "case_report":
        return "case report, never pooled"
    if study.get("retracted", "") == "yes":
        return "retracted"
    return ""


def _one_a_cohort(
    candidates: list[Candidate],
) -> tuple[list[Candidate], list[tuple[Candidate, str]]]:
    """One report on the same patients: no lesser report, then the one observed longest."""

    def rank(c: Candidate) -> tuple:
        return (c.study["cohort_role"] not in _LESSER_ROLES, c.observed, c.patients)

    ordered = sorted(candidates, key=rank, reverse=True)
    chosen: list[Candidate] = []
    beaten: list[tuple[Candidate, str]] = []
    for candidate in ordered:
        rival = next(
            (c for c in chosen if c.study["patients"] == candidate.study["patients"]), None
        )
        if rival is None:
            chosen.append(candidate)
        else:
            beaten.append((candidate, f"same patients as {rival.study['study_id']}, which is used"))
    position = {id(c): i for i, c in enumerate(candidates)}
    return sorted(chosen, key=lambda c: position[id(c)]), beaten


# --- tables -----------------------------------------------------------------------------------


def _facts_table(chosen: list[Candidate]) -> pd.DataFrame:
    rows = []
    for c in chosen:
        for p in c.pieces:
            rows.append(
                {
                    "study_id": c.study["study_id"],
                    "label": c.study["label"],
                    "cohort": c.study["cohort"],
                    "cell_class": c.study["cell_class"],
                    "diabetes_type": c.study["diabetes_type"],
                    "kind": p.kind,
                    "low": float(p.low),
                    "high": float(p.high),
                    "count": float(p.count),
                    "time_origin": p.origin,
                    "through_ever": p.through_ever,
                    "min_ever": int(p.min_ever),
                    "k_ever": c.k_ever,
                    "n_total": c.n_total,
                    "source_rows": _references(p.lines),
                    "reason": p.reason,
                }
            )
    return pd.DataFrame(rows, columns=FACT_COLUMNS)


def _references(lines: Iterable[int]) -> str:
    return ";".join(f"independence:{line}" for line in sorted(set(lines)))


def used_lines(facts: pd.DataFrame) -> set[int]:
    """The line numbers of independence.csv behind a table of facts or counts."""
    return _lines(facts["source_rows"])


def _lines(references: Iterable[str]) -> set[int]:
    """The line numbers named by references to rows of independence.csv."""
    return {
        int(part.split(":")[1])
        for text in references
        for part in text.split(";")
        if part.startswith("independence:")
    }


def _exclusion_table(rows, used, notes, stage) -> pd.DataFrame:
    """Each row not used, with its reason."""
    left = [r for r in records(rows) if r["line"] not in used]
    return pd.DataFrame(
        [
            {
                "table": "independence",
                "line": r["line"],
                "study_id": r["study_id"],
                "arm": r["arm"],
                "fact": r["fact"],
                "stage": stage,
                "reason": notes.get(r["line"], "no count or no denominator printed"),
            }
            for r in left
        ],
        columns=EXCLUSION_COLUMNS,
    )


def _ever_row(study: dict, row: dict, ever: pd.DataFrame) -> dict:
    """`row` of a study and the control arm beside it; `ever` are all rows of that fact."""
    own = ever[ever["study_id"] == study["study_id"]]
    control_rows = [r for r in records(own) if r["arm"].startswith("control")]
    lines = [row["line"], *(r["line"] for r in control_rows[:1])]
    return {
        "study_id": study["study_id"],
        "label": study["label"],
        "cohort": study["cohort"],
        "cell_class": study["cell_class"],
        "diabetes_type": study["diabetes_type"],
        "design": study["design"],
        "controlled": bool(control_rows),
        "onset": onset_of(study.get("diabetes_duration_summary", "")),
        "conditioning": study["immune_strategy"] == "conditioning_ablation",
        "k": float(row["k"]),
        "n": float(row["n_total"]),
        "bound": "at_least" if row["bound"] == "at_least" else "exact",
        "k_control": control_rows[0]["k"] if control_rows else math.nan,
        "n_control": control_rows[0]["n_total"] if control_rows else math.nan,
        "source_rows": _references(lines),
        "seen_in": row["seen_in"],
    }


def onset_of(text: str) -> str:
    """`new`, `longstanding` or `unstated`, from the words on diabetes duration.

    New where the text says so, or names only weeks or at most six months; long-standing where it
    names years and no weeks or months, or says "chronic". Anything less clear is unstated.
    """
    words = text.lower()
    if re.search(r"\bnew(ly)?\b|recent", words):
        return "new"
    if "chronic" in words:
        return "longstanding"
    weeks = re.search(r"\bweeks?\b", words)
    months = [float(x) for x in re.findall(r"(\d+(?:\.\d+)?)\s*(?:\([^)]*\)\s*)?months?\b", words)]
    years = re.search(r"\byears?\b", words)
    if re.search(r"\bsix months\b", words):
        months.append(6.0)
    if years and not weeks and not months:
        return "longstanding" if not re.search(r"<\s*\d", words) else "unstated"
    if not years and (weeks or months) and all(m <= 6 for m in months):
        return "new"
    if not years and months and min(months) >= 12:
        return "longstanding"
    return "unstated"
