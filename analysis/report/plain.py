"""The plain-language page: what was seen, for how long, at what harm, and what to do and not to do.

Its fixed words are in `plain_en.toml`, one file a language; numbers, and words that lean one way,
come from the results. Absolute numbers only; every sentence reads at grade eight or easier, which
the tests check on the page as filled.
"""

from __future__ import annotations

import textwrap
import tomllib
from functools import cache
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from analysis import outcomes, vocabulary
from analysis.report import directions, harms, readings, style, visits, words
from analysis.report.figures import base
from analysis.report.page_one import TYPES
from analysis.report.text import said
from analysis.vocabulary import INFUSION, ISLETS, RESET

FOLDER = Path(__file__).resolve().parent
WIDEST = 58
"""Letters of a line of the figure."""
ROW = 20
"""Icons in a row."""
PLAIN_TYPES = {"t1d": "1", "t2d": "2"}


@cache
def text(language: str = "en") -> dict:
    """The fixed words of the page in a language. Raises FileNotFoundError where there are none."""
    return tomllib.loads((FOLDER / f"plain_{language}.toml").read_text(encoding="utf-8"))


@said
def page(results, language: str = "en") -> str:
    """The whole page as Markdown, without its heading."""
    fixed = text(language)
    harm = [
        f"## {fixed['headings']['harm']}",
        " ".join(died(results, fixed)),
        "\n".join(
            f"- **{_capital(fixed['approach'][approach])}.** {' '.join(told)}"
            for approach, told in harmed_by(results, fixed).items()
        ),
        " ".join(not_known(results, fixed)),
    ]
    blocks = [
        f"**{fixed['headings']['first']}**",
        _listed(fixed["first"]["lines"]),
        *harm,
        f"## {fixed['headings']['works']}",
        fixed["works"]["small"],
    ]
    for name, sentences in (("islets", islets), ("reset", reset), ("infusion", infusion)):
        blocks += [f"**{fixed['headings'][name]}.** {' '.join(sentences(results, fixed))}"]
    blocks += [f"## {fixed['headings']['lasts']}", " ".join(lasts(results, fixed))]
    return "\n\n".join(block for block in blocks if block)


@said
def guidance(results, language: str = "en") -> str:
    """How to recognise an unproven clinic, what to ask it, and where to find registered trials."""
    fixed = text(language)
    found = fixed["trials"]["list"]
    links = "\n".join(f"- [{one['name']}]({one['url']})" for one in found)
    blocks = [
        f"## {fixed['headings']['clinic']}",
        fixed["clinic"]["intro"],
        _listed(fixed["clinic"]["signs"]),
        f"## {fixed['headings']['questions']}",
        _listed(fixed["questions"]["list"]),
        f"## {fixed['headings']['trials']}",
        " ".join(trials(results, fixed)),
        links,
    ]
    return "\n\n".join(blocks)


def sentences(results, language: str = "en") -> list[str]:
    """Every sentence of the page, as filled: for the test of its reading grade."""
    fixed = text(language)
    found = [*fixed["first"]["lines"], fixed["works"]["small"]]
    for part in (islets, reset, infusion, lasts, died, not_known, trials):
        found += part(results, fixed)
    for told in harmed_by(results, fixed).values():
        found += told
    return [
        *found,
        fixed["clinic"]["intro"],
        *fixed["clinic"]["signs"],
        *fixed["questions"]["list"],
    ]


def _listed(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _number(reading: readings.Reading) -> dict[str, str]:
    least = "at least " if reading.figures["least"] else ""
    return {"k": f"{least}{reading.figures['k']:.0f}", "n": f"{reading.figures['n']:.0f}"}


def islets(results, fixed: dict) -> list[str]:
    """What is said of islet replacement."""
    own = fixed["islets"]
    found = [own["what"], own["grown"], own["who"]]
    made = _by_cells(results, fixed, "c_peptide_detectable")
    told = False
    for word, (cells, reading, _) in zip(_classes(results), made, strict=True):
        found.append(_capital(own["made"].format(cells=cells, **_number(reading))))
        matters = words.number(outcomes.get("c_peptide_gain").important[0], 1)
        for level in readings.levels(results, word):
            n = words.count(level.n)
            found.append(own["level"].format(n=n, level=level.ends, matters=matters))
            told = True
    if told:
        found.append(own["test"])
    if not made:
        found.append(own["none"])
    for cells, reading, months in _by_cells(results, fixed, "insulin_free_12"):
        found.append(_capital(own["free"].format(cells=cells, months=months, **_number(reading))))
    facts = readings.counted(results, "insulin_free_12", ISLETS, "t1d")
    missed = readings.not_counted(results, facts)
    if missed is not None:
        most = words.count(facts["k"].sum() + missed)
        found.append(own["most"].format(k=words.some(missed, "person"), most=most))
    elif facts["bound"].eq("at_least").any():
        found.append(own["least"])
    for cells, reading, _ in _by_cells(results, fixed, "ever_insulin_free"):
        if not (reading.figures["k"] or reading.figures["least"]):
            found.append(own["never"].format(cells=cells, **_number(reading)))
    return [*found, own["drugs"]]


def _classes(results) -> list[str]:
    """Classes of cells after which C-peptide was counted, in the order of `_by_cells`."""
    facts = readings.counted(results, "c_peptide_detectable", ISLETS, "t1d")
    return sorted(set(facts["cell_class"]))


def _by_cells(results, fixed: dict, outcome: str) -> list[tuple[str, readings.Reading, str]]:
    """Counts after islet replacement, class by class: the cells in plain words, count, months."""
    facts = readings.counted(results, outcome, ISLETS, "t1d")
    words_of = fixed["islets"]["cells"]
    return [
        (
            words_of.get(word, words_of["other"]),
            readings.counts_of(rows, outcome),
            visits.months(rows),
        )
        for word, rows in facts.groupby("cell_class", sort=True)
    ]


def reset(results, fixed: dict) -> list[str]:
    """What is said of an immune reset."""
    own = fixed["reset"]
    ever = readings.share(results, "ever_insulin_free", RESET, "t1d")
    told = own["none"]
    if ever.told == readings.SHARE:
        told = _capital(own["free"].format(**_number(ever)))
    return [own["what"], told, own["early"]]


def infusion(results, fixed: dict) -> list[str]:
    """What is said of infused cells: HbA1c against controls, and who was free of insulin."""
    own = fixed["infusion"]
    found = [own["what"], own["sugar"]]
    for population in TYPES:
        kind = PLAIN_TYPES[population]
        reading = readings.effect(results, "hba1c", INFUSION, population)
        if reading.told == readings.MEAN:
            mean, low, high = (reading.figures[name] for name in ("mean", "ci_low", "ci_high"))
            word = own["direction"][directions.compared(directions.side("hba1c", mean))]
            found.append(
                own["mean"].format(type=kind, size=words.number(abs(mean), 1), direction=word)
            )
            found.append(own["range"].format(low=_points(low, own), high=_points(high, own)))
            found += _other_ways(results, population, own)
            if reading.certainty:
                found.append(fixed["certainty"][reading.certainty.replace(" ", "_")])
        else:
            found.append(
                own["none" if reading.told == readings.NONE else "words"].format(type=kind)
            )
    for population in TYPES:
        found += _c_peptide(results, population, own)
    for population, kind in PLAIN_TYPES.items():
        ever = readings.share(results, "ever_insulin_free", INFUSION, population)
        if ever.told == readings.SHARE:
            found.append(_capital(own["free"].format(type=kind, **_number(ever))))
            found.append(own["free_anyway"][population])
    return found


def _other_ways(results, population: str, own: dict) -> list[str]:
    """What most other analyses find, where the headline of HbA1c lies outside nine of ten."""
    place = readings.standing(results, "hba1c", INFUSION, population)
    if place is None:
        return []
    word = directions.others_find("hba1c", place.headline, place.low, place.high)
    if not word:
        return []
    return [own["others"].format(word=word, middle=_points(place.median, own))]


def _c_peptide(results, population: str, own: dict) -> list[str]:
    """C-peptide as a ratio and as a gain, and whether a gain that matters is nearly ruled out."""
    ratio, gain = (
        readings.effect(results, outcome, INFUSION, population)
        for outcome in ("c_peptide_ratio", "c_peptide_gain")
    )
    if ratio.told != readings.MEAN:
        return []
    found = [
        own["peptide"],
        own["ratio"].format(
            type=PLAIN_TYPES[population], size=words.number(ratio.figures["mean"], 1)
        ),
    ]
    if gain.told == readings.MEAN:
        matters = words.number(outcomes.get("c_peptide_gain").important[0], 1)
        size = words.number(gain.figures["mean"], 2)
        found.append(own["gain"].format(size=size, matters=matters))
        if readings.ruled_out(results, "c_peptide_gain", INFUSION, population):
            found.append(own["ruled_out"])
    return found


def _points(value: float, own: dict) -> str:
    """A difference as so many points lower or higher."""
    word = directions.compared(directions.side("hba1c", value))
    if words.number(abs(value), 1) == "0.0":
        return own["direction"]["same"]
    return f"{words.number(abs(value), 1)} {own['direction'][word]}"


def lasts(results, fixed: dict) -> list[str]:
    """How long people were watched, approach by approach; when half were on insulin again."""
    own = fixed["lasts"]
    table = results.table("duration_follow_up")
    found = []
    for approach in vocabulary.APPROACHES:
        rows = table[(table["approach"] == approach) & (table["population"].isin(TYPES))]
        if rows.empty:
            continue
        named = fixed["approach"][approach]
        months, longest = rows["last_month"].max(), rows["longest"].max()
        if words.known(months):
            found.append(own["known"].format(approach=named, months=f"{months:.0f}"))
            half = readings.half_resumed(results, approach, rows["population"].iloc[0])
            if words.known(half):
                found.append(own["half"].format(months=f"{half:.0f}"))
        else:
            found.append(own["few"].format(approach=named))
        if words.known(longest):
            found.append(own["longest"].format(months=f"{longest:.0f}"))
    return [*found, own["beyond"]] if found else [own["none"]]


def died(results, fixed: dict) -> list[str]:
    """How many died in all."""
    own = fixed["harm"]
    k, _ = harms.deaths(results)
    return [own["none"] if not k else own["death_one"] if k == 1 else own["deaths"].format(k=k)]


def harmed_by(results, fixed: dict) -> dict[str, list[str]]:
    """Harms by treatment: deaths, benign tumours, grave infections and others, of how many."""
    found = {approach: _deaths_of(results, fixed, approach) for approach in vocabulary.APPROACHES}
    own = fixed["harm"]
    for row in harms.benign(results).itertuples():
        told = own["benign_least" if row.bound == "at_least" else "benign"]
        found[row.approach] += [
            told.format(k=f"{row.k:.0f}", n=f"{row.n:.0f}"), own["benign_means"],
        ]  # fmt: skip
    for approach in found:
        found[approach] += also_harmed(results, fixed, approach)
    return {approach: told for approach, told in found.items() if told}


def _deaths_of(results, fixed: dict, approach: str) -> list[str]:
    own, found = fixed["harm"], []
    fatal = harms.named(results, event="severe_infection", fatal="yes")
    table = harms.died(results)
    for _, row in table[table["approach"] == approach].iterrows():
        least = own["least"] if row["least"] else ""
        found.append(own["where"].format(k=f"{least}{row['k']:.0f}", n=f"{row['n']:.0f}"))
        infected = fatal.loc[fatal["cohort"] == row["cohort"], "k"].sum()
        if infected:
            alone = infected == row["k"] == 1 and not row["least"]
            found.append(own["infection_one" if alone else "infection"].format(k=f"{infected:.0f}"))
        word = {"unrelated": "unrelated", "treatment_related": "related"}
        by_firm = row["relation"] == "unrelated" and row["judged_by"].startswith("the sponsor")
        found.append(own["firm" if by_firm else word.get(row["relation"], "unsaid")])
    return found


def not_known(results, fixed: dict) -> list[str]:
    """Who is silent on deaths, and what no one told."""
    own, found = fixed["harm"], []
    quiet, every, _ = harms.silent(results, "death")
    if quiet:
        found.append(own["silent"].format(k=quiet, n=every))
        related = harms.only_related(results, "death")
        if related:
            found.append(own["only_related"].format(k=related))
    claims = results.table("claims")
    cleared = claims[
        claims["claim_id"].str.endswith("_no_tumours") & (claims["verdict"] == "supported")
    ]
    found += [
        own["tumour"].format(k=f"{row.k:.0f}", n=f"{row.n:.0f}")
        for row in harms.in_no_count(results, "malignancy_or_tumour").itertuples()
    ]
    return [*found, own["cancer_known" if len(cleared) else "cancer"], own["unknown"]]


ALSO = ("severe_infection", "impaired_fertility", "neutropenia", "severe_hypoglycaemia",
        "serious_adverse_event")  # fmt: skip
"""Harms besides deaths that the page tells, approach by approach, where somebody had them."""


def also_harmed(results, fixed: dict, approach: str) -> list[str]:
    """Grave infections, impaired fertility and other harms counted after a treatment."""
    own, found = fixed["harm"], []
    facts = results.rows("harm_facts", relation="any", arm="treated", approach=approach)
    for word in ALSO:
        rows = facts[facts["event"] == word]
        k, n = rows["k"].sum(), rows["n"].sum()
        if k:
            least = own["least"] if rows["bound"].eq("at_least").any() else ""
            told = own["low_sperm" if harms.of_men(results, word, approach) else word]
            found.append(_capital(told.format(k=f"{least}{k:.0f}", n=f"{n:.0f}")))
    return found


def trials(results, fixed: dict) -> list[str]:
    """Where registered trials are found, and how many are known here."""
    claims = results.table("claims")
    known = claims.loc[claims["claim_id"] == "trials_to_follow", "value"]
    own = fixed["trials"]
    here = (
        [own["here"].format(k=f"{known.iloc[0]:.0f}")]
        if len(known) and words.known(known.iloc[0])
        else []
    )
    return [own["intro"], own["advice"], *here]


# --- icons -------------------------------------------------------------------------------------


def arrays(results, language: str = "en") -> list[tuple[str, int, int, bool, str]]:
    """What the icon figure shows: label, how many, of how many, whether at least, approach."""
    fixed = text(language)
    found = []

    def add(kind: str, approach: str, of: str, k: float, n: float, least: bool = False,
            months: str = "") -> None:  # fmt: skip
        label = fixed["figure"][kind].format(approach=of, months=months)
        found.append((label, int(k), int(n), least, approach))

    for kind, outcome in (("insulin", "c_peptide_detectable"), ("free", "insulin_free_12")):
        for cells, reading, months in _by_cells(results, fixed, outcome):
            add(kind, ISLETS, cells, **reading.figures, months=months)
    reading = readings.share(results, "insulin_free_12", RESET, "t1d")
    if reading.told == readings.SHARE:
        months = visits.months(readings.counted(results, "insulin_free_12", RESET, "t1d"))
        add("free", RESET, fixed["approach"][RESET], **reading.figures, months=months)
    deaths = results.rows("harm_facts", event="death", relation="any", arm="treated")
    for row in deaths.itertuples():
        of = fixed["approach"][row.approach]
        add("died", row.approach, of, row.k, row.n, row.bound == "at_least")
    return found


def icons(results, language: str = "en") -> Figure:
    """One icon a person: filled for those of whom it is true."""
    fixed = text(language)["figure"]
    drawn = arrays(results, language)
    if not drawn:
        return base.in_words("This run counts nobody.")
    figure, axes = base.new(1.0)
    _draw_people(figure, axes, drawn, fixed, ROW)
    figure.on_paper = lambda: _on_paper(figure, axes, drawn, fixed)  # type: ignore[attr-defined]
    made = _by_cells(results, text(language), "c_peptide_detectable")
    found = [fixed["title"].format(k=one.figures["k"], n=one.figures["n"], cells=cells)
             for cells, one, _ in made]  # fmt: skip
    return base.title(figure, _capital("; ".join(found)))


def _draw_people(figure: Figure, axes, drawn: list, fixed: dict, row: int) -> None:
    """Each count with its label above, `row` people a line."""
    y = 0.0
    for label, k, n, least, approach in drawn:
        told = fixed["least" if least else "count"].format(k=k, n=n)
        words = textwrap.fill(f"{told} · {label}", WIDEST * row // ROW)
        above = 0.62 * words.count("\n")
        axes.text(-0.6, y + above / 2, words, fontsize=style.SMALL, va="center", linespacing=1.0)
        colour = style.APPROACH_COLOURS[approach]
        people = np.arange(n)
        for who, fill in ((people[:k], colour), (people[k:], style.WHITE)):
            axes.plot(who % row, y + above + 1.05 + who // row, "o", ms=6.2, mec=colour, mfc=fill,
                      mew=1)  # fmt: skip
        y += 2.1 + above + -(-n // row)
    figure.set_size_inches(figure.get_figwidth(), 0.5 + 0.185 * y)
    axes.set_xlim(-0.8, row)
    axes.set_ylim(y - 0.6, -0.8)
    axes.set_axis_off()


def _on_paper(figure: Figure, axes, drawn: list, fixed: dict) -> None:
    """The same with twice as many people in a line."""
    axes.clear()
    figure.set_size_inches(style.PAPER_WIDTH, 1)
    figure.set_layout_engine("constrained")
    _draw_people(figure, axes, drawn, fixed, 2 * ROW)
