"""One study's facts on how long freedom from insulin lasts, read in the richest consistent way.

1. They are read as the richest of: all patients listed; order statistics (range, median) with the
   listed best or worst patients; landmark counts; the listed worst, or a longest or shortest
   duration alone; a mean.
2. Counts at a time after treatment (`at_time`) start with the onset of independence; durations
   (`lasted`, patients, summaries) start when insulin was stopped.
3. The longest duration of a range may be unfinished, and others with it: it is a lower bound where
   the words or the length of follow-up say so, ended where the patient resumed, else either. The
   month in which a listed worst patient resumed may count from treatment: it is an upper bound.
4. The number ever independent is the denominator of a landmark where it is known exactly; else the
   unresolved patients (never free, or free no longer) enter through the probability of ever
   becoming free.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from analysis.counting.independence import main_arm, number, of_resumed, time_origin
from analysis.evidence import Evidence
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


class Unusable(Exception):
    """No duration can be read from the rows; the message says why."""


@dataclass(frozen=True)
class Ever:
    """What is known of the number ever independent: exact k of n, or at least k of n."""

    exact: float = math.nan
    at_least: float = 0.0
    n: float = math.nan
    lines: tuple[int, ...] = ()


Read = tuple[list[Piece], float] | None
"""Pieces and the number ever free; None where the facts do not say it this way."""


def read_study(study: dict, rows: list[dict], cohort_ever: list[dict]) -> Candidate:
    """The facts of one report as pieces. Raises Unusable when no duration can be read."""
    spoken = [r for r in rows if r["fact"] != "ever"]
    if not spoken:
        raise Unusable("says who became free, not for how long")
    main = main_arm([r for r in spoken if not of_resumed(r["arm"])] or spoken)
    inside = [r for r in rows if r["arm"] == main]
    resumed = [r for r in rows if of_resumed(r["arm"]) and r["arm"].startswith(main)]
    aside = [r for r in rows if r not in inside and r not in resumed]
    ever = _ever_of(inside, cohort_ever, spoken)
    readings = []
    for read in (_listed, _order_statistics, _landmarks, _extremes, _mean):
        found = read(study, inside, resumed, ever)
        if found:
            readings.append(found)
    if not readings:
        raise Unusable("no duration, landmark or summary that can be used without guessing")
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


def _listed(study: dict, rows: list[dict], resumed: list[dict], ever: Ever) -> Read:
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


def _order_statistics(study: dict, rows: list[dict], resumed: list[dict], ever: Ever) -> Read:
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


def _top_kind(study: dict, row: dict, value: float) -> str:
    """How the longest duration is read: `order_top`, `order_ended` or `order_longest`."""
    if row["fact"] == "patient":
        return "order_ended" if row["status"] == "resumed" else "order_top"
    past = value - number(study["followup_months"])
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


def _order_pieces(
    k: int, start: float, low: float, middle: float, high: float, lines: tuple[int, ...],
    top: str = "order_longest",
) -> list[Piece]:  # fmt: skip
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


def _with_best(
    k: int, start: float, low: float, middle: float, high: float, best: list[dict],
    lines: tuple[int, ...],
) -> list[Piece]:  # fmt: skip
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


def _with_resumed(
    study: dict, k: int, low: float, high: float, resumed: list[dict], lines: tuple[int, ...]
) -> list[Piece]:
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
        followed = number(study["followup_months"])
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


def _condition_on_lasting(
    pieces: list[Piece], lasted: dict, k: int, ever: Ever
) -> tuple[list[Piece], float]:
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


def _landmarks(study: dict, rows: list[dict], resumed: list[dict], ever: Ever) -> Read:
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


def _last_mark(
    study: dict, rows: list[dict], last: dict, lines: tuple[int, ...], through: bool
) -> Piece:
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


def _extremes(study: dict, rows: list[dict], resumed: list[dict], ever: Ever) -> Read:
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


def _mean(study: dict, rows: list[dict], resumed: list[dict], ever: Ever) -> Read:
    """A mean of k durations, taken to be restricted to the follow-up (censoring unknown)."""
    mean = _summaries(rows).get("mean")
    if mean is None or not mean["k"] >= 1 or not mean["value"] > 0:
        return None
    followed = number(study["followup_months"])
    whole = study.get("followup_kind", "") in _WHOLE_FOLLOWUP
    limit = followed if whole and followed > mean["value"] else MEAN_LIMIT
    why = "mean, censoring not described: restricted to the follow-up, variance widened"
    return [Piece("mean", mean["value"], limit, mean["k"], (mean["line"],), why)], mean["k"]


def _summaries(rows: Iterable[dict]) -> dict[str, dict]:
    """The duration summaries by statistic; of several, the one of most patients."""
    found: dict[str, dict] = {}
    for r in rows:
        if r["fact"] == "duration_summary":
            held = found.get(r["duration_statistic"])
            if held is None or (r["k"] > held["k"]):
                found[r["duration_statistic"]] = r
    return found


def _range_of(spread: dict | None, median: dict | None) -> tuple[float, float]:
    """Low and high of a range row, else those printed beside the median."""
    for row in (spread, median):
        if row is not None and not math.isnan(row["low"]) and not math.isnan(row["high"]):
            return row["low"], row["high"]
    return math.nan, math.nan


def _lasted_by_all(rows: list[dict], k: int) -> dict | None:
    """The `lasted` row that counts the very k patients of a summary, if any."""
    found = [r for r in rows if r["fact"] == "lasted" and r["k"] == k and r["n_total"] >= k]
    return max(found, key=lambda r: r["months"]) if found else None


def _complete_best(rows: list[dict], k: int) -> list[dict]:
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


def _ever_of(rows: list[dict], cohort_ever: list[dict], spoken: list[dict]) -> Ever:
    """The study's own count of ever independent, else that of a report of the same patients."""
    own = [r for r in rows if r["fact"] == "ever"]
    exact = [r for r in own if r["bound"] in ("exact", "")]
    if exact:
        row = max(exact, key=lambda r: r["n_total"])
        return Ever(row["k"], row["k"], row["n_total"], (row["line"],))
    bound = [r for r in own if r["bound"] == "at_least"]
    if bound:
        row = max(bound, key=lambda r: r["k"])
        return Ever(math.nan, row["k"], row["n_total"], (row["line"],))
    sizes = {r["n_total"] for r in spoken}
    shared = [r for r in cohort_ever if r["n_total"] in sizes]
    if shared:
        row = shared[0]
        return Ever(row["k"], row["k"], row["n_total"], (row["line"],))
    return Ever()


def cohort_ever(evidence: Evidence, studies: dict[str, dict], study: dict) -> list[dict]:
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


def _observed(piece: Piece) -> float:
    """The longest time a piece speaks of; a mean speaks of its own value."""
    if piece.kind == "mean":
        return piece.low
    return max((t for t in (piece.low, piece.high) if math.isfinite(t)), default=0.0)
