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
import pandas as pd
from matplotlib.figure import Figure

from analysis import outcomes, vocabulary
from analysis.report import directions, harms, readings, style, visits, words
from analysis.report.figures import base
from analysis.report.page_one import TYPES
from analysis.report.tables.base import Table, grid, in_words
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
def harmed(results, language: str = "en") -> str:
    """What comes first, and who died; `harm_table` follows."""
    fixed = text(language)
    blocks = [
        f"**{fixed['headings']['first']}**",
        _listed(fixed["first"]["lines"]),
        f"## {fixed['headings']['harm']}",
        " ".join(died(results, fixed)),
        "\n".join(
            f"- **{_capital(fixed['approach'][approach])}.** {' '.join(told)}"
            for approach, told in harmed_by(results, fixed).items()
        ),
        fixed["harm"]["table"],
    ]
    return "\n\n".join(block for block in blocks if block)


@said
def seen(results, language: str = "en") -> str:
    """What is not known of harms, and what was seen; `infusion_table` follows."""
    fixed = text(language)
    blocks = [
        " ".join(not_known(results, fixed)),
        f"## {fixed['headings']['works']}",
        fixed["works"]["small"],
    ]
    for name, sentences in (("islets", islets), ("reset", reset), ("infusion", infusion)):
        blocks += [f"**{fixed['headings'][name]}.** {' '.join(sentences(results, fixed))}"]
    return "\n\n".join(block for block in blocks if block)


@said
def lasting(results, language: str = "en") -> str:
    """What else is said of infused cells, and how long it lasts."""
    fixed = text(language)
    blocks = [
        " ".join(beside(results, fixed)),
        f"## {fixed['headings']['lasts']}",
        " ".join(lasts(results, fixed)),
    ]
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
    found = [*fixed["first"]["lines"], fixed["works"]["small"], fixed["harm"]["table"]]
    for part in (islets, reset, infusion, beside, lasts, died, not_known, trials):
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
    if "psc_progenitor" in _classes(results):
        found.append(own["young"])
    levels = []
    for word, (cells, reading, _) in zip(_classes(results), made, strict=True):
        found.append(_capital(own["made"].format(cells=cells, **_number(reading))))
        levels += [
            own["level"].format(n=words.count(level.n), cells=cells, level=level.ends)
            for level in readings.levels(results, word)
        ]
    if levels:
        matters = words.number(outcomes.get("c_peptide_gain").important[0], 1)
        found += [own["test"], own["matters"].format(matters=matters), *levels]
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
    return [*found, *_sugar(results, fixed), own["drugs"]]


def _sugar(results, fixed: dict) -> list[str]:
    """Who reached an HbA1c under 7 % after new islets, with what HbA1c is."""
    found = [
        _capital(fixed["islets"]["sugar"].format(cells=cells, **_number(reading)))
        for cells, reading, _ in _by_cells(results, fixed, "hba1c_below_7")
    ]
    return [fixed["infusion"]["sugar"], *found] if found else []


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
    told = [own["none"]]
    if ever.told == readings.SHARE:
        told = [_capital(own["free"].format(**_number(ever))), *_trust(ever, fixed)]
    return [own["what"], *told, own["early"]]


def _trust(reading: readings.Reading, fixed: dict) -> list[str]:
    """How far a number can be trusted, where its certainty was judged."""
    level = reading.certainty.replace(" ", "_")
    return [fixed["certainty"][level]] if level else []


def infusion(results, fixed: dict) -> list[str]:
    """What infused cells are; what a table of them needs, and what stands in none."""
    own = fixed["infusion"]
    found = [own["what"]]
    if not _sugar(results, fixed):
        found.append(own["sugar"])
    found.append(own["peptide"])
    told = {row[0] for row in _compared(results, fixed)}
    for population, kind in PLAIN_TYPES.items():
        if own["rows"]["hba1c"].format(type=kind) not in told:
            reading = readings.effect(results, "hba1c", INFUSION, population)
            key = "none" if reading.told == readings.NONE else "words"
            found.append(own[key].format(type=kind))
    return found


def infusion_table(results, language: str = "en") -> Table:
    """Infused cells against controls: what it was, where it may lie, how far to trust it."""
    fixed = text(language)
    rows = _compared(results, fixed)
    if not rows:
        return in_words(fixed["infusion"]["no_table"])
    return grid(pd.DataFrame(rows, columns=fixed["infusion"]["columns"]))


def _compared(results, fixed: dict) -> list[tuple[str, str, str, str]]:
    """The rows of `infusion_table`: outcomes that have a mean, type by type."""
    own, found = fixed["infusion"], []
    for outcome, name in own["rows"].items():
        for population, kind in PLAIN_TYPES.items():
            reading = readings.effect(results, outcome, INFUSION, population)
            if reading.told != readings.MEAN:
                continue
            mean, low, high = (reading.figures[name] for name in ("mean", "ci_low", "ci_high"))
            if outcome == "hba1c":
                word = own["direction"][directions.compared(directions.side("hba1c", mean))]
                told = own["mean"].format(size=words.number(abs(mean), 1), direction=word)
                ends = own["range"].format(low=_points(low, own), high=_points(high, own))
            else:
                told = own["ratio"].format(size=words.number(mean, 1))
                ends = own["ends"].format(low=words.number(low, 1), high=words.number(high, 1))
            label = name.format(type=kind)
            found.append((label, told, ends, own["trust"].get(reading.certainty, "–")))
    return found


def beside(results, fixed: dict) -> list[str]:
    """What other analyses find of HbA1c, the gain of C-peptide, and who was free of insulin."""
    own, found = fixed["infusion"], []
    for population in TYPES:
        found += _other_ways(results, population, own)
    for population in TYPES:
        found += _gain(results, population, own)
    for population, kind in PLAIN_TYPES.items():
        ever = readings.share(results, "ever_insulin_free", INFUSION, population)
        if ever.told == readings.SHARE:
            found.append(_capital(own["free"].format(type=kind, **_number(ever))))
            found += _trust(ever, fixed)
            found.append(own["free_anyway"][population])
    return found


def _other_ways(results, population: str, own: dict) -> list[str]:
    """What most other analyses find, where the headline of HbA1c lies outside nine of ten."""
    reading = readings.effect(results, "hba1c", INFUSION, population)
    place = readings.standing(results, "hba1c", INFUSION, population)
    if place is None or reading.told != readings.MEAN:
        return []
    word = directions.others_find("hba1c", place.headline, place.low, place.high)
    if not word:
        return []
    kind = PLAIN_TYPES[population]
    return [own["others"].format(type=kind, word=word, middle=_points(place.median, own))]


def _gain(results, population: str, own: dict) -> list[str]:
    """The gain of C-peptide, and whether one that matters is nearly ruled out."""
    gain = readings.effect(results, "c_peptide_gain", INFUSION, population)
    if gain.told != readings.MEAN:
        return []
    matters = words.number(outcomes.get("c_peptide_gain").important[0], 1)
    size = words.number(gain.figures["mean"], 2)
    found = [own["gain"].format(type=PLAIN_TYPES[population], size=size, matters=matters)]
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
            population = rows["population"].iloc[0]
            year = readings.still_free(results, approach, population)
            if words.known(year):
                found.append(own["year"].format(k=readings.of_100(year)))
            half = readings.half_resumed(results, approach, population)
            if words.known(half):
                found.append(own["half"].format(months=f"{half:.0f}"))
        else:
            found.append(own["few"].format(approach=named))
        if words.known(longest):
            found.append(own["longest"].format(months=f"{longest:.0f}"))
        alone = readings.longest_alone(results, approach)
        if alone is not None and not alone.months <= longest:
            found.append(own["alone"].format(type=alone.kind, months=f"{alone.months:.0f}"))
    return [*found, own["beyond"]] if found else [own["none"]]


def died(results, fixed: dict) -> list[str]:
    """How many died in all."""
    own = fixed["harm"]
    k, _ = harms.deaths(results)
    return [own["none"] if not k else own["death_one"] if k == 1 else own["deaths"].format(k=k)]


def harmed_by(results, fixed: dict) -> dict[str, list[str]]:
    """Harms by treatment that take a sentence: deaths, side effects of all, benign tumours."""
    found = {approach: _deaths_of(results, fixed, approach) for approach in vocabulary.APPROACHES}
    own = fixed["harm"]
    for row in harms.side_effects(results).itertuples():
        if row.k:
            least = own["least"] if row.bound == "at_least" else ""
            told = own["any"].format(k=f"{least}{row.k:.0f}", n=f"{row.n:.0f}")
            found[row.approach].append(told)
    for approach, told in found.items():
        if harms.of_men(results, "impaired_fertility", approach):
            told.append(own["men"])
    return {approach: told for approach, told in found.items() if told}


def _deaths_of(results, fixed: dict, approach: str) -> list[str]:
    own, found = fixed["harm"], []
    fatal = harms.named(results, event="severe_infection", fatal="yes")
    table = harms.died(results)
    for _, row in table[table["approach"] == approach].iterrows():
        least = own["least"] if row["least"] else ""
        infected = fatal.loc[fatal["cohort"] == row["cohort"], "k"].sum()
        alone = infected == row["k"] == 1
        told = own["where_infection" if alone else "where"]
        found.append(told.format(k=f"{least}{row['k']:.0f}", n=f"{row['n']:.0f}"))
        if infected and not alone:
            found.append(own["infection"].format(k=f"{infected:.0f}"))
        word = {"unrelated": "unrelated", "treatment_related": "related"}
        by_firm = row["relation"] == "unrelated" and row["judged_by"].startswith("the sponsor")
        found += own["firm"] if by_firm else [own[word.get(row["relation"], "unsaid")]]
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
    if len(harms.benign(results)):
        found.append(own["benign_means"])
    return [*found, own["cancer_known" if len(cleared) else "cancer"], own["unknown"]]


ALSO = ("severe_infection", "impaired_fertility", "neutropenia", "organ_toxicity",
        "severe_hypoglycaemia", "procedure_related", "benign_or_preexisting_tumour",
        "serious_adverse_event")  # fmt: skip
"""Harms besides deaths that the page tells, where somebody had them."""


def harm_table(results, language: str = "en") -> Table:
    """Harms besides deaths, a column for each treatment: `3 of 14`, or that nobody tells."""
    fixed = text(language)
    own = fixed["harm"]
    facts = results.rows("harm_facts", relation="any", arm="treated")
    rows = []
    for word in ALSO:
        told = facts[facts["event"] == word]
        if told["k"].sum():
            cells = [_how_many(told[told["approach"] == a], own) for a in vocabulary.APPROACHES]
            rows.append([own["rows"][word], *cells])
    if not rows:
        return in_words(own["no_table"])
    heads = [_capital(fixed["approach"][approach]) for approach in vocabulary.APPROACHES]
    return grid(pd.DataFrame(rows, columns=[own["had"], *heads]))


def _how_many(rows: pd.DataFrame, own: dict) -> str:
    """`at least 4 of 31`, of all who count a harm; that it is not told where nobody does."""
    if rows.empty:
        return own["not_told"]
    least = own["least"] if rows["bound"].eq("at_least").any() else ""
    return f"{least}{rows['k'].sum():.0f} of {rows['n'].sum():.0f}"


def trials(results, fixed: dict) -> list[str]:
    """Where registered trials are found, and how many are known here."""
    claims = results.table("claims")
    known = claims.loc[claims["claim_id"] == "trials_to_follow", "value"]
    own = fixed["trials"]
    here = []
    if len(known) and words.known(known.iloc[0]):
        here.append(own["here"].format(k=f"{known.iloc[0]:.0f}"))
        late = int(results.table("registered_ongoing")["overdue"].sum())
        here += [own["late"].format(k=late)] if late else []
        here.append(own["closed"])
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
