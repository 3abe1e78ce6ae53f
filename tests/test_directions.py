"""No sentence leans the other way than the number it quotes, on this run or on one turned over.

Three checks. No room of the report but `directions` types a word that leans; what stands in its
stead there is listed here as a definition. In the whole rendered text each such word is found by a
pattern that knows the number it speaks of and compares the two. On a run whose effects are all
turned over, each statement turns over.
"""

import ast
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mirror import Mirror

from analysis import claims, outcomes, verdicts
from analysis.render import source as sources
from analysis.report import chapters, directions, page_one, readings

ROOT = Path(__file__).parent.parent
REPORT = ROOT / "report.qmd"
LEANS = re.compile(
    r"(?<![-\w])(higher|lower|lowers|lowered|falls?|fell|falling|rises?|rose|rising|fewer|leans?|"
    r"better|worse|upwards?|downwards?|up|down|more|less|larger|smaller|greater|narrower|wider|"
    r"towards|away|favourable|benefits?|(?:increas|decreas|reduc|improv)\w*)\b",
    re.I,
)
MINUS = "−"


# --- where such words are made ------------------------------------------------------------------

DEFINITIONS = (
    r"lower bounds?", r"or better", r"or more( of 100| so)?", r"no more", r"\{\} more( that)?",
    r"^[Bb]etter$|[Bb]etter word", r"^[Ww]orse$|[Ww]orse (word|one)", r"As good or better",
    r"Clearly (better|worse)", r"fewer than", r"favourable", r"more than", r"up to",
    r"where the first number is the larger", r"fewer than two results are left",
    r"years or more", r"no benefit of an immune reset", r"[Cc]lear benefit", r"chance of benefit",
    r"^Benefits$",
    r"predicts the studies (better|worse)", r"predict them clearly better",
    r"outside lower center",
    r"(upper|lower) (right|left|center)", r"Takes the mean away", r"More than half counts",
    r'class="more"', r"^k_(better|worse)$|_(better|worse)$",
)  # fmt: skip
"""What may be typed: names of bounds and columns, comparisons with a number that stands beside."""


def typed(path: Path) -> list[str]:
    """Text that a room of the report types, one piece a string, without its explanations."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    explained = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)
              for part in node.values}  # fmt: skip
    pieces = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            pieces.append("".join(part.value if isinstance(part, ast.Constant) else "{}"
                                  for part in node.values))  # fmt: skip
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            pieces += [] if id(node) in explained | inside else [node.value]
    return pieces


def undefined(text: str, known=DEFINITIONS) -> str:
    """A text without what is defined; what leans in the rest leans by itself."""
    for pattern in known:
        text = re.sub(pattern, "·", text)
    return text


def test_only_one_room_of_the_report_types_words_that_lean():
    rooms = [path for path in (ROOT / "analysis" / "report").rglob("*.py")
             if path.name not in ("directions.py", "style.py")]  # fmt: skip
    assert len(rooms) > 15
    found = [f"{path.name}: {piece}" for path in rooms for piece in typed(path)
             if LEANS.search(undefined(piece))]  # fmt: skip
    assert not found


@given(st.sampled_from(outcomes.of_kind(outcomes.CONTINUOUS)), st.floats(-1, 1))
def test_a_word_is_the_side_on_which_the_number_lies(outcome, value):
    about = outcomes.get(outcome)
    shown = about.shown(value)
    word = directions.compared(directions.side(outcome, shown))
    assert (word == "higher") == (shown > about.neutral)
    assert (word == "lower") == (shown < about.neutral)
    if about.good:
        assert directions.better(outcome) != directions.worse(outcome)
        good = directions.compared(directions.side(outcome, about.shown(0.5 * about.good)))
        assert directions.better(outcome) == good


def test_what_is_not_known_or_is_no_effect_leans_nowhere():
    assert directions.side("hba1c", float("nan")) == 0 == directions.side("c_peptide_ratio", 1.0)
    assert directions.compared(0) == directions.SAME == directions.compared(float("nan"))
    assert directions.moved(0) == "not at all" and directions.moved(-0.2) == "down"


@given(st.sampled_from(outcomes.HEADLINES), st.floats(0.2, 3), st.floats(0.1, 2))
def test_a_shift_to_the_good_side_is_towards_benefit(outcome, shift, sd):
    good = outcomes.get(outcome).good
    if shift < directions.HARDLY * sd:
        return
    assert "towards benefit" in directions.benefit(outcome, shift * good, sd)
    assert "away from benefit" in directions.benefit(outcome, -shift * good, sd)


@given(st.floats(-0.9, 0.9))
def test_an_interval_is_said_to_widen_only_where_it_does(change):
    word = directions.width(change)
    assert ("wider" in word) == (change >= directions.LEAST)
    assert ("narrower" in word) == (change <= -directions.LEAST)


# --- the whole text -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tracked_run):
    return tracked_run


@pytest.fixture(scope="module")
def turned(tracked_run):
    return Mirror(tracked_run.out, tracked_run.evidence)


@pytest.fixture(scope="module")
def text(text_of):
    return text_of("tracked")


@pytest.fixture(scope="module")
def other(text_of):
    return text_of("turned")


def number(word: str) -> float:
    """A printed number or percentage."""
    bare = re.sub(r"[%\s\u00a0]", "", word.replace(MINUS, "-"))
    known = {"over99": 99.5, "under1": 0.5, "none": 0.0}
    return known[bare] if bare in known else float(bare)


SHARE = r"(?:over 99|under 1|\d+)[\s\u00a0]%"
NUMBER = rf"[{MINUS}-]?\d+(?:\.\d+)?"


def chance(match) -> bool:
    """A mean and the chance that it is on a side agree."""
    about = 1.0 if match["times"] else 0.0
    mean = number(match["times"] or match["gap"])
    likely = number(match["p"]) > 50
    return mean == about or ((mean > about) == (match["word"] == "higher")) == likely


def falling(match) -> bool:
    """Chances of ever more do not grow."""
    found = [number(word) for word in re.findall(SHARE, match[0])]
    return found == sorted(found, reverse=True)


def predicts(match) -> bool:
    """A curve is said to predict better where its gain is clear: two standard errors."""
    gain, error = number(match["gain"]), number(match["error"])
    if match["word"] == "worse":
        return gain < -2 * error
    return (gain > 2 * error) == (not match["not"])


def fewer(match) -> bool:
    return number(match["k"]) < number(match["n"])


BOUND = {
    r"cohorts with fewer than \d+ treated, followed for \d+ months or less": None,
    rf"{SHARE} that it is (?:higher|lower)(?:(?:,| and) {SHARE} that it is [^,;]*? or better)+":
        falling,
    rf"came to \*\*(?:(?P<times>{NUMBER}) times|(?P<gap>{NUMBER}))[^*]*\*\*[^A-Z]*?"
    rf"The chance is (?P<p>{SHARE}) that it is (?P<word>higher|lower)": chance,
    r"(?P<k>\d+) patients, fewer than (?:the )?(?P<n>\d+)": fewer,
    r"(?P<k>\d+) studies: these models can say little with fewer than (?P<n>\d+)": fewer,
    r"(?P<k>\d+|none) clearly (?P<good>higher|lower), (?:\d+|none) without a clear difference, "
    r"(?:\d+|none) clearly "
    r"(?P<bad>higher|lower)": lambda m: m["good"] != m["bad"],
    rf"(?P<not>not )?predicts? (?:the studies|them clearly) (?P<word>better|worse) than "
    rf".*? densities (?P<gain>{NUMBER}), standard error (?P<error>{NUMBER})": predicts,
    r"(?P<way>up|down) (?:one|two): (?P<why>cannot happen)?":
        lambda m: (m["way"] == "up") == bool(m["why"]),
    r"at least as favourable": None,
    r"\d+ more in words or without a spread": None,
    r"where the first number is the larger the second is incomplete": None,
    r"\d+ or more of 100": None, rf"{SHARE} or more": None, r"\d+ years or more before": None,
    r"fewer than two results are (?:left|numbers)": None,
    r"More than half counts for a step": None,
    r"fewer than (?:two|three) (?:randomised contrasts|studies|results in numbers)": None,
    r"(?:\d+|under 1) % (?:narrower|wider)": None,
}  # fmt: skip
"""A pattern around each word that leans -> whether it agrees with the number it quotes; None where
the word names a bound or compares with the number that stands beside it."""
FIXED = (
    "no benefit of an immune reset or of infused cells is", "more than suggested",
    "A clear benefit is found in", "hold my immune system down", "hold the immune system down",
    "still had to grow up", "make up your mind", "after they fell ill",
    "Soon after they fall ill",
    "and no more", "Better word", "Worse word", "| Better |",
    "As good or better", "Clearly better", "Clearly worse",
    "never narrower than the common-effect interval",
    "strategies for improvement", "has fewer than 400 patients", "more than 0.3 points apart",
    "one prior SD higher", "one prior SD lower", "the larger of two standard errors",
    "Takes the mean away",
)  # fmt: skip
"""Sentences, headers and names of analyses that are definitions or the same for any result."""


def counted(match) -> float:
    return np.sign(number(match["k"]) - number(match["n"] or "0"))


def ends(match) -> float:
    """The side of the middle of `from 1.4 lower to 0.3 lower`, as the word of its first end."""
    pairs = ((match["low"], match["word"]), (match["high"], match["other"]))
    signs = [SIGN.get(word, 0) * number(size or "0") for size, word in pairs]
    return np.sign(sum(signs)) * SIGN.get(match["word"], 0)


SIDES = r"higher|lower|about the same"
SIGNED = {
    rf"(?P<p>{SHARE}) that it is (?P<word>higher|lower)":
        lambda m: np.sign(number(m["p"]) - 50),
    r"(?P<k>\d+|none) clearly (?P<word>higher|lower), (?:\d+|none) without a clear difference, "
    r"(?P<n>\d+|none) "
    r"clearly (?:higher|lower)": counted,
    r"(?P<word>higher|lower) in (?P<k>\d+)(?:,? (?:and )?not clearly different in \d+)?"
    r"(?:,? (?:and )?(?:higher|lower) in (?P<n>\d+))? of": counted,
    r"(?P<word>higher|lower) in (?P<k>[1-9]\d*) of \d+": lambda m: 1,
    r"\((?P<k>[1-9]\d*) clearly (?P<word>higher|lower)\)": lambda m: 1,
    r"(?P<k>\d+) better(?:, \d+ no clear difference)?(?:, (?P<n>\d+) worse)?": counted,
    r"(?P<n>\d+) worse": lambda m: -1,
    r"move the mean (?P<word>up|down|not at all) by": lambda m: 1,
    r"results in words (?P<word>move it towards|move it away from|hardly move)(?: benefit)?":
        lambda m: 1,
    rf"{NUMBER} points (?P<word>higher|lower) than without": lambda m: 1,
    rf"from (?:(?P<low>{NUMBER}) )?(?P<word>{SIDES}) to (?:(?P<high>{NUMBER}) )?"
    rf"(?P<other>{SIDES})": ends,
    r"(?P<word>higher|lower|not clearly different)(?:, told in words|; the study prints no number)":
        lambda m: 1,
    r"(?:[Mm]ost other defensible analyses|[Mm]ost other sound ways to count) find "
    r"(?P<word>less|more) benefit": lambda m: 1,
    rf"the middle one is {NUMBER} (?P<word>higher|lower)": lambda m: 1,
}  # fmt: skip
"""Statements that lean -> whether the word holds (1) or its opposite (-1), by its number."""
SIGN = {"better": 1, "higher": 1, "lower": -1, "up": 1, "down": -1, "move it towards": 1,
        "move it away from": -1, "more": 1, "less": -1}  # fmt: skip


def leaning(words: str) -> list[float]:
    """The signs of the statements of a text, in order."""
    found = {}
    for pattern, holds in SIGNED.items():
        for match in re.finditer(pattern, words):
            if not any(start <= match.start() < end for start, end in found):
                found[match.span()] = SIGN.get(match.groupdict().get("word", "better"), 0) * holds(
                    match
                )
    return [found[span] for span in sorted(found)]


def spaces(words: str) -> str:
    return words.replace("\u00a0", " ")


def test_the_whole_text_is_looked_at(text):
    assert len(text) > 60 and sum(map(len, text.values())) > 30_000
    assert sum(len(LEANS.findall(words)) for words in text.values()) > 60


def test_every_word_that_leans_is_bound_to_a_number_that_agrees(text):
    wrong, unbound = [], []
    claimed = [words for claim in claims.CLAIMS for words in (claim.claim, claim.short)]
    claimed.sort(key=len, reverse=True)
    for place, words in text.items():
        rest = spaces(words)
        for pattern, agrees in BOUND.items():
            for match in re.finditer(pattern, rest, re.S):
                if agrees is not None and not agrees(match):
                    wrong.append(f"{place}: {match[0]}")
        for fixed in (*claimed, *FIXED):
            rest = rest.replace(fixed, "·")
        for pattern in (*BOUND, *SIGNED):
            rest = re.sub(pattern, "·", rest, flags=re.S)
        unbound += [f"{place}: {rest[max(0, m.start() - 60) : m.end() + 40]!r}"
                    for m in LEANS.finditer(rest)]  # fmt: skip
    assert not wrong and not unbound


def test_no_pattern_is_kept_that_nothing_needs(text, other):
    every = "\n".join(map(spaces, (*text.values(), *other.values())))
    assert not [pattern for pattern in (*BOUND, *SIGNED) if not re.search(pattern, every, re.S)]
    assert not [fixed for fixed in FIXED if fixed not in every]


def test_prose_that_is_typed_leans_nowhere():
    parts = sources.read(REPORT)[1]
    captions = [str(part.options.get(name, "")) for part in parts if not isinstance(part, str)
                for name in ("fig-cap", "tbl-cap", "fig-alt")]  # fmt: skip
    prose = [sources.INLINE.sub("", part) for part in parts if isinstance(part, str)]
    left = [piece for words in (*prose, *captions)
            for piece in re.split(r"(?<=[.;:])\s", undefined(words, TYPED))
            if LEANS.search(piece)]  # fmt: skip
    assert not left


TYPED = (
    r"lower bounds?", r"with better care, the natural", r"larger with more patients",
    r"counts? for more or less", r"or more", r"fewer than ten", r'"lower, P < \.05"',
    r"Better: the chance", r"falls under the threshold", r"upper bound", r"cells down, outcomes",
    r"Negative: a fall, or less than in controls", r"[Cc]ohorts down, domains",
    r"would take the effect away",
)  # fmt: skip
"""What report.qmd types: definitions, legends and the example of a result in words."""


# --- a run turned over --------------------------------------------------------------------------


def test_every_statement_turns_over_with_the_results(text, other):
    assert other.keys() == text.keys()
    statements = 0
    for place, words in text.items():
        here, there = leaning(spaces(words)), leaning(spaces(other[place]))
        assert len(here) == len(there), (place, words, other[place])
        assert [-sign for sign in here] == there, (place, words, other[place])
        statements += len(here)
    assert statements > 40


def test_numbers_agree_with_their_words_on_the_run_turned_over_as_well(other):
    for place, words in other.items():
        for pattern, agrees in BOUND.items():
            for match in re.finditer(pattern, spaces(words), re.S):
                assert agrees is None or agrees(match), (place, match[0])


def test_what_words_do_is_what_the_two_means_say(run, turned):
    for results in (run, turned):
        for outcome in outcomes.HEADLINES:
            for approach, population in page_one.CARDS:
                stratum = (outcome, approach, population)
                told = re.search(r"move the mean (\w+)", chapters.beside(results, *stratum))
                if not told:
                    continue
                whole = chapters.mean_of(results, *stratum, "controlled")["mean"]
                alone = chapters.mean_of(results, *stratum, "controlled", "numbers_only")["mean"]
                assert (whole > alone) == (told[1] == "up")


def test_claims_of_an_effect_lose_their_word_when_it_turns_over(run, turned):
    there = turned.table("claims").set_index("claim_id")
    known = 0
    for row in run.table("claims").itertuples():
        if row.kind != verdicts.EFFECT or row.approach == "all" or not row.estimate_ids:
            continue
        if np.isfinite(row.probability) and row.probability > 0.8 and row.unit != "risk ratio":
            known += 1
            assert there.loc[row.claim_id, "probability"] < 0.2
            assert verdicts.rank(there.loc[row.claim_id, "verdict"]) > verdicts.rank(row.verdict)
    assert known >= 3


def test_a_reading_leans_as_its_number_does(run, turned):
    for results in (run, turned):
        for outcome in outcomes.HEADLINES:
            for approach, population in page_one.CARDS:
                found = readings.effect(results, outcome, approach, population)
                if found.told == readings.MEAN:
                    assert found.direction == directions.side(outcome, found.figures["mean"])
