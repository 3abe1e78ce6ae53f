"""From an estimate, a claim, an effect, a raw row or a study to the facts behind it.

The steps are lines of text, indented by how deep they lie: figure, rule, effects, raw rows,
addresses. `isletmeta explain` prints them and the report's tables open them on the page: both take
them from here. Nothing is computed but which effects stand where: estimates and claims are read as
they were written, effects are built anew from the evidence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from analysis import (
    claims,
    cohorts,
    effects,
    evidence,
    outcomes,
    questions,
    results,
    risk_of_bias,
    vocabulary,
)
from analysis.chain import phrases
from analysis.evidence.references import reference
from analysis.records import records

ALL = "all"
FACTS = {"share_facts": "counted", "duration_facts": "counted as a duration",
         "harm_facts": "counted as a harm"}  # fmt: skip
"""Tables of the results that hold counted facts, each with how an explanation calls it."""
TOLD_BY = {"share_facts": "outcome", "duration_facts": "kind", "harm_facts": "event"}
"""The column that says what a counted fact is of."""
FACT_TABLES = ("outcomes", "directions", "responders", "independence", "safety")
QUESTION = ("outcome", "approach", "population", "design")
IDENTIFIERS = ("doi", "pmid", "pmcid", "registry_id")
SIDES = {"better": "clearly better", "null": "without a clear difference",
         "worse": "clearly worse", "untested": "untested"}  # fmt: skip


class Chains:
    """The steps behind names, for one state of the evidence and its results.

    Parameters
    ----------
    body : the evidence.
    table : gives a declared table of the results by its name, without rows where there is none.
    """

    def __init__(self, body: evidence.Evidence, table: Callable[[str], pd.DataFrame]):
        self.body, self.table = body, cache(table)

    @classmethod
    def of_folder(cls, body: evidence.Evidence, out: Path | None) -> Chains:
        """With the results of a folder; None for none."""
        if out is None:
            return cls(body, lambda name: results.TABLES[name].empty())
        return cls(body, lambda name: results.read(out, name))

    @cached_property
    def built(self) -> effects.EffectsResult:
        """Effects and exclusions of the evidence."""
        return self._questions.built()

    @property
    def effects(self) -> pd.DataFrame:
        """Every effect."""
        return self.built.effects

    @property
    def exclusions(self) -> pd.DataFrame:
        """Rows in no effect, each with its reason."""
        return self.built.exclusions

    @cached_property
    def estimates(self) -> pd.DataFrame:
        """The table of estimates."""
        return self.table("estimates")

    @cached_property
    def _questions(self) -> questions.Body:
        return questions.Body(self.body)

    @cached_property
    def _rows(self) -> dict[str, tuple[str, dict]]:
        """Name of a raw row by content -> its table and the row."""
        found: dict[str, tuple[str, dict]] = {}
        for file in evidence.KEYS:
            name = file.removesuffix(".csv")
            table = getattr(self.body, name, None)
            if isinstance(table, pd.DataFrame):
                for row in records(table):
                    found.setdefault(reference(name, row), (name, row))
        return found

    @cached_property
    def _rows_of_study(self) -> dict[str, list[tuple[str, str, dict]]]:
        """Study -> name, table and row of each of its facts."""
        found: dict[str, list[tuple[str, str, dict]]] = {}
        for name, (table, row) in self._rows.items():
            if table in FACT_TABLES:
                found.setdefault(row["study_id"], []).append((name, table, row))
        return found

    @cached_property
    def _facts_of_study(self) -> dict[tuple[str, str], list[dict]]:
        """Table of counted facts and study -> its facts."""
        found: dict[tuple[str, str], list[dict]] = {}
        for table in FACTS:
            for row in records(self.table(table)):
                found.setdefault((table, row["study_id"]), []).append(row)
        return found

    @cached_property
    def _estimates(self) -> dict[str, dict]:
        """Every estimate by its name in lower case; of several of a name the first."""
        found: dict[str, dict] = {}
        for row in records(self.estimates):
            found.setdefault(row["id"].lower(), row)
        return found

    @cached_property
    def _question_places(self) -> dict[str, int]:
        names = self.table("headlines")[list(QUESTION)].itertuples(index=False, name=None)
        return _places_of(map(":".join, names))

    @cached_property
    def _claim_places(self) -> dict[str, int]:
        return _places_of(self.table("claims")["claim_id"])

    @cached_property
    def _effect_places(self) -> dict[str, int]:
        return _places_of(self.effects["effect_id"])

    @cached_property
    def _studies_called(self) -> dict[str, list[int]]:
        """What a person may call a study, plain -> the places of those called so."""
        called: dict[str, list[int]] = {}
        for place, study in enumerate(records(self.body.studies)):
            names = [study["study_id"], evidence.label_of(study),
                     *(study[column] for column in IDENTIFIERS)]  # fmt: skip
            for name in {phrases.plain(name) for name in names} - {""}:
                called.setdefault(name, []).append(place)
        return called

    @cached_property
    def _effects_of_study(self) -> dict[str, pd.DataFrame]:
        return dict(list(self.effects.groupby("study_id", sort=False)))

    # --- one name ------------------------------------------------------------------------------

    def walk(self, name: str) -> list[str]:
        """The steps behind a name of the evidence or its results; none where it names nothing."""
        if name not in self._walked:
            self._walked[name] = self._walk(name)
        return self._walked[name]

    @cached_property
    def _walked(self) -> dict[str, list[str]]:
        return {}

    def _walk(self, name: str) -> list[str]:
        for way in (self.estimate, self.question, self.stratum, self.harms, self.claim, self.effect,
                    self.row, self.study, self.cohort, self.trial):  # fmt: skip
            if found := way(name):
                return found
        return []

    # --- estimates and questions

    def estimate(self, name: str) -> list[str]:
        """An estimate: its figure, rule, certainty, and the effects or counts behind it."""
        one = self._estimates.get(name.lower())
        if one is None:
            return []
        about = outcomes.get(one["outcome"])
        stratum = phrases.stratum_of(one, one["cell_class"])
        lines = [one["id"], f"  {about.title}; {stratum}; {phrases.design_of(one)}",
                 f"  {results.QUANTITIES[one['quantity']]}{phrases.when(one)}",
                 f"  {phrases.figures(one)}"]  # fmt: skip
        if one["note"]:
            lines.append(f"  note: {one['note']}")
        lines += [f"rule: {results.VARIANTS[one['variant']]}; {results.METHODS[one['method']]} "
                  "(docs/protocol.md, Methods of the report)", *self._told(one),
                  *self._certainty(one)]  # fmt: skip
        return lines + self._behind(one)

    def question(self, name: str) -> list[str]:
        """An outcome of a stratum and design, such as `hba1c:cell_infusion:t2d:controlled`.

        Where a mean is told it is an estimate of that name; here are those told otherwise.
        """
        place = self._question_places.get(name.lower())
        if place is None:
            return []
        one = self.table("headlines").iloc[place]
        about = outcomes.get(one["outcome"])
        sides = [f"{one[f'k_{side}']:.0f} {word}" for side, word in SIDES.items()
                 if one[f"k_{side}"]]  # fmt: skip
        counted = f"{one['k_studies']:.0f} {phrases.studies(one['k_studies'])}"
        return [
            ":".join(one[part] for part in QUESTION),
            f"  {about.title}; {phrases.stratum_of(one)}; {phrases.design_of(one)}",
            f"  {counted}{phrases.bracketed(', '.join(sides))}",
            "rule: what may be told of it (docs/protocol.md, estimands and headlines)",
            *self._told(one),
            *self._behind({**one, "cell_class": ALL, "variant": "headline"}),
            *self._beside_in_words(one),
        ]

    def _beside_in_words(self, one: Mapping) -> list[str]:
        """Results in words against controls that stand in no effect of a question, row by row."""
        if one["design"] != "controlled":
            return []
        told = effects.told_in_words(self.body, one["outcome"], one["approach"],
                                     one["population"], "treated_vs_control")  # fmt: skip
        used = ";".join(self._effects_of({**one, "cell_class": ALL, "variant": "headline"})
                        ["source_rows"]).split(";")  # fmt: skip
        names = [reference("directions", row) for row in records(told)]
        left = [name for name in names if name not in used]
        lines = [line for name in left for line in self._sources(name, "  ")]
        return [f"in words, in no estimate: {len(left)}", *lines] if left else []

    def stratum(self, name: str) -> list[str]:
        """What is counted of an outcome of a stratum, such as `harm_death:immune_reset:t1d`."""
        parts = name.lower().split(":")
        kinds = {word: about.kind for word, about in outcomes.OUTCOMES.items()}
        if len(parts) != 3 or kinds.get(parts[0], outcomes.CONTINUOUS) == outcomes.CONTINUOUS:
            return []
        outcome, approach, population = parts
        if approach not in vocabulary.APPROACHES or population not in vocabulary.POPULATIONS:
            return []
        one = {"outcome": outcome, "approach": approach, "population": population,
               "cell_class": ALL, "variant": "headline", "design": ALL}  # fmt: skip
        lines = [name.lower(), f"  {outcomes.get(parts[0]).title}; {phrases.stratum_of(one)}"]
        if kinds[parts[0]] == outcomes.DURATION:
            reach = self.table("duration_follow_up")
            reach = reach[_same(reach, one, ("approach", "population"))]
            for row in reach.itertuples():
                last, longest = map(phrases.text_of, (row.last_month, row.longest))
                told = [f"followed up to month {last}" if last else "too few followed for a month",
                        f"longest of one patient: {longest} months" if longest else ""]  # fmt: skip
                lines.append("  " + "; ".join(filter(None, told)))
        return [*lines, "rule: what is counted, none twice (docs/protocol.md, estimands)",
                *self._counted(one)]  # fmt: skip

    def harms(self, name: str) -> list[str]:
        """The deaths and severe infections named of a stratum, such as `harms:immune_reset:t1d`;
        with `counted_harms` the other harms counted of the approach."""
        parts = name.lower().split(":")
        if parts[0] not in ("harms", "counted_harms") or len(parts) != 3:
            return []
        if parts[0] == "counted_harms":
            rule = "rule: harms counted of any cause, all groups of the approach"
            return [name.lower(), rule, *self._harms_counted(parts[1], vocabulary.COUNTED_HARMS)]
        table = self.table("harm_events")
        table = table[table["approach"].eq(parts[1]) & table["eligible"].eq("yes")]
        table = table[table["population"].str.startswith(parts[2])]
        rule = "rule: every death and severe infection is named (docs/protocol.md, safety)"
        lines = [name.lower(), f"  named events: {len(table)}", rule]
        for row in records(table):
            lines.append(f"  {row['label']}, {row['event'].replace('_', ' ')}: {row['k']:g} of "
                         f"{row['n']:g}, {row['what']}")  # fmt: skip
            lines += self._sources(row["source_rows"], "    ")
        return lines + self._harms_counted(parts[1], ("death", "severe_infection"))

    def _harms_counted(self, approach: str, events: Iterable[str]) -> list[str]:
        """Harms of any cause in all groups of an approach, with the rows that count them."""
        lines = []
        whole = self.table("harm_summary")
        whole = whole[whole["approach"].eq(approach) & whole["relation"].eq("any")]
        for row in whole[whole["event"].isin(list(events))].itertuples():
            told = (
                (row.n_patients, f"{row.events:g} of {row.n_patients:g} counted exactly"),
                (row.n_at_least, f"at least {row.events_at_least:g} of {row.n_at_least:g} "
                                 "where a least number is told"),
                (row.k_silent, f"groups that say nothing: {row.k_silent:g}"),
                (row.k_other, f"groups that say only whether it was related: {row.k_other:g}"),
            )  # fmt: skip
            lines.append(f"  {row.event.replace('_', ' ')} of any cause, all of the approach: "
                         + "; ".join(text for count, text in told if count))  # fmt: skip
            lines += self._sources(row.source_rows, "    ")
        return lines

    def _told(self, one: Mapping) -> list[str]:
        """How the headline of the stratum and design is told."""
        table = self.table("headlines")
        same = _same(table, one, QUESTION)
        meaning = {word: text for word, text in results.tables.headlines.TOLD.items()}
        return [f"told as: {meaning[word]}" for word in table[same]["told"]]

    def _certainty(self, one: Mapping) -> list[str]:
        table = self.table("certainty")
        own = table[table["estimate_id"] == one["id"]]
        return [f"certainty: {row.level.replace('_', ' ')} ({row.reasons})"
                for row in own.itertuples()]  # fmt: skip

    def _behind(self, one: Mapping) -> list[str]:
        """The effects of a continuous outcome, or the counts of another, with rows and sources."""
        if outcomes.get(one["outcome"]).kind != outcomes.CONTINUOUS:
            return self._counted(one)
        rows = self._effects_of(one)
        lines = [f"effects: {len(rows)}"]
        for row in records(rows):
            lines += self._effect_lines(row)
        return lines

    def _effects_of(self, one: Mapping) -> pd.DataFrame:
        """The effects that stand in an estimate: those of its stratum, design and variant."""
        if one["design"] == ALL:
            return self.effects.iloc[:0]
        asked = questions.Question(*(one[part] for part in QUESTION))
        rows = self._questions.rows(asked)
        if one["variant"] != "headline":
            if asked not in self._variants:
                self._variants[asked] = {
                    name: chosen for name, chosen, _, _ in
                    questions.variants(self._questions, asked, self._judged)
                }  # fmt: skip
            rows = self._variants[asked].get(one["variant"], rows)
        if one["cell_class"] != ALL:
            rows = rows[rows["cell_class"] == one["cell_class"]]
        return rows

    @cached_property
    def _variants(self) -> dict[questions.Question, dict[str, pd.DataFrame]]:
        """Question -> variant -> the effects in it; filled as it is asked."""
        return {}

    @cached_property
    def _judged(self) -> pd.DataFrame:
        return risk_of_bias.overalls(self.body.risk_of_bias)

    def _effect_lines(self, row: Mapping, used: str = "") -> list[str]:
        """An effect in a line, and its raw rows with their addresses."""
        line = (
            f"  {row['effect_id']}: {row['label']}, month {row['months']:g}, "
            f"{phrases.value_of(row)}{used}"
        )
        return [line, *self._sources(row["source_rows"], "    ")]

    def _counted(self, one: Mapping) -> list[str]:
        """The counted facts of an estimate of a share, a rate or a duration."""
        raw = outcomes.get(one["outcome"]).raw
        lines: list[str] = []
        for name in FACTS:
            facts = self.table(name)
            keep = pd.Series(True, index=facts.index)
            if name == "share_facts":
                keep &= facts["outcome"] == one["outcome"]
            elif name == "harm_facts":
                keep &= facts["event"].isin(raw)
                wanted = "treatment_related" if one["variant"] == "related" else "any"
                keep &= facts["relation"] == wanted
            elif outcomes.get(one["outcome"]).kind != outcomes.DURATION:
                continue
            if one["approach"] != ALL:
                keep &= facts["approach"] == one["approach"]
            if one["population"] != ALL:
                keep &= cohorts.in_population(facts["population"], one["population"])
            if one["cell_class"] != ALL:
                keep &= facts["cell_class"] == one["cell_class"]
            for row in records(facts[keep]):
                lines += self._fact_lines(name, row)
        return [f"facts: {sum(not line.startswith('    ') for line in lines)}", *lines]

    def _fact_lines(self, table: str, row: Mapping) -> list[str]:
        words = [row["label"]]
        if table == "duration_facts":
            words.append(row["kind"])
        else:
            bound = "at least " if row["bound"] == "at_least" else ""
            words.append(f"{bound}{row['k']:g} of {row['n']:g}")
        if table == "share_facts" and row["criterion"]:
            words.append(row["criterion"])
        return [f"  {', '.join(words)}", *self._sources(row["source_rows"], "    ")]

    # --- claims

    def claim(self, name: str) -> list[str]:
        """A claim: its verdict, the rule, and the estimates, rows and sources it rests on."""
        place = self._claim_places.get(name.lower())
        if place is None:
            return []
        one = self.table("claims").iloc[place]
        lines = [f"{one['claim_id']}: {one['claim']}", f"  verdict: {one['verdict']}"
                 + (f" (decided by: {one['capped_by']})" if one["capped_by"] else "")]  # fmt: skip
        if np.isfinite(one["probability"]):
            lines.append(f"  probability: {phrases.probability(one['probability'])}")
        if one["certainty"]:
            lines.append(f"  certainty: {one['certainty'].replace('_', ' ')}")
        if np.isfinite(one["value"]):
            value = phrases.with_basis(one, phrases.number(one["value"], one["unit"]))
            lines.append(f"  decided by: {one['estimand']}, {value}")
        if one["caveat"]:
            lines.append(f"  caveat: {one['caveat']}")
        lines.append(f"rule: a claim of {one['kind'].replace('_', ' ')} (docs/protocol.md, "
                     "verdicts on public claims)")  # fmt: skip
        shown: dict[tuple[str, ...], str] = {}
        for estimate in one["estimate_ids"].split():
            lines += self._estimate_of_claim(estimate, shown)
        for key in claims.SOURCES_OF.get(one["claim_id"], ()):
            source = next(source for source in claims.OTHER_FIELDS if source.key == key)
            lines += [f"  {source.what}: {source.citation}", f"    {source.url}"]
        written = {line.strip() for line in lines}
        for name_of_row in filter(None, one["source_rows"].split(";")):
            steps = self._sources(name_of_row, "  ")
            lines += [] if steps[0].strip() in written else steps
        return lines

    def _estimate_of_claim(self, name: str, shown: dict[tuple[str, ...], str]) -> list[str]:
        """An estimate of a claim with its steps; what stands behind several is told once."""
        one = self._estimates.get(name.lower())
        figure = "told without a mean" if one is None else phrases.figures(one)
        whole = self.estimate(name) or self.question(name)
        if not whole:
            return [f"  estimate {name}: not in these results"]
        start = next(
            (i for i, line in enumerate(whole) if line.startswith(("effects:", "facts:"))),
            len(whole),
        )
        behind = tuple(whole[start:])
        rules = [line for line in whole[1:start] if not line.startswith("  ")]
        lines = [f"  estimate {name}: {figure}", *(f"    {line}" for line in rules)]
        if behind in shown:
            return [*lines, f"    {behind[0]}, those of {shown[behind]}"]
        shown[behind] = name
        return [*lines, *(f"    {line}" for line in behind)]

    # --- effects, rows, studies

    def effect(self, name: str) -> list[str]:
        """An effect: its raw rows, formula and result, and the means in which it stands."""
        place = self._effect_places.get(name.lower())
        if place is None:
            return []
        row = self.effects.iloc[place]
        return effects.explain(self.effects, self.body, row["effect_id"]) + self._stands_in(row)

    def _stands_in(self, row: Mapping) -> list[str]:
        """The printed means in which an effect stands."""
        table = self.table("study_estimates")
        mine = table[table["effect_id"] == row["effect_id"]]
        lines = []
        for one in mine.itertuples():
            parts = {"outcome": one.outcome, "approach": one.approach,
                     "population": one.population, "design": one.design}  # fmt: skip
            told = self.table("headlines")
            head = told[_same(told, parts, tuple(parts))]
            name = next(iter(head["estimate_id"]), "") or "no printed mean"
            lines.append(
                f"  {phrases.stratum_of(parts)}, {one.design}: weight {one.weight:.0%}, {name}"
            )
        return ["stands in:", *lines] if lines else []

    def row(self, name: str) -> list[str]:
        """A raw row: its cells, its address, and where it went."""
        found = self.raw(name)
        if found is None:
            return []
        table, row = found
        cells = [f"{column}: {phrases.text_of(value)}" for column, value in row.items()
                 if column not in ("line", "source_url") and phrases.text_of(value)]  # fmt: skip
        address = [f"  {row['source_url']}"] if row["source_url"] else []
        return [f"{table}.csv line {row['line']:g} ({reference(table, row)})",
                *(f"  {cell}" for cell in cells), *address, *self.went(table, row)]  # fmt: skip

    def went(self, table: str, row: dict) -> list[str]:
        """Where a raw row went: the effects and counts it is in, or why it is in none."""
        names = {reference(table, row), f"{table}:{row['line']:g}"}
        uses, reasons = self._uses
        lines = [use for name in names for use in uses.get(name, ())]
        if not lines:
            lines = [f"in no estimate: {reason}" for name in names
                     for reason in reasons.get(name, ())]  # fmt: skip
        return list(dict.fromkeys(lines))

    @cached_property
    def _uses(self) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
        """Name of a raw row -> the effects and counts it is in; and -> why it is in none."""
        uses: dict[str, list[str]] = {}
        for effect, names in zip(self.effects["effect_id"], self.effects["source_rows"],
                                 strict=True):  # fmt: skip
            for name in names.split(";"):
                uses.setdefault(name, []).append(f"effect: {effect}")
        for table, words in FACTS.items():
            for fact in records(self.table(table)):
                for name in str(fact["source_rows"]).split(";"):
                    uses.setdefault(name, []).append(f"{words}: {fact[TOLD_BY[table]]}")
        reasons: dict[str, list[str]] = {}
        out = self.exclusions
        for name, reason in zip(out["row"], out["reason"], strict=True):
            reasons.setdefault(name, []).append(reason)
        for table in ("share_exclusions", "duration_exclusions", "harm_exclusions"):
            left = self.table(table)
            for name, reason in zip(left["source_row"], left["reason"], strict=True):
                reasons.setdefault(name, []).append(reason)
        return uses, reasons

    def raw(self, name: str) -> tuple[str, dict] | None:
        """The table and row of a reference, by its name or by its line."""
        match = re.fullmatch(r"(\w+?)(?:\.csv)?:(?:line )?(\w+)", name)
        if match is None:
            return None
        if len(match[2]) < 8 and match[2].isdigit():
            line = int(match[2])
            return next((found for found in self._rows.values()
                         if found[0] == match[1] and found[1]["line"] == line), None)  # fmt: skip
        return self._rows.get(f"{match[1]}:{match[2]}")

    def _sources(self, references: str, indent: str) -> list[str]:
        """Raw rows, each in a line, and their addresses."""
        lines, rows = [], []
        for name in filter(None, map(str.strip, str(references).split(";"))):
            if found := self.raw(name):
                rows.append(found)
            else:
                lines.append(f"{indent}{name}: not in this evidence")
        for table, row in sorted(rows, key=lambda found: (found[0], found[1]["line"])):
            lines.append(f"{indent}{table}.csv line {row['line']:g}: {phrases.in_a_line(row)}")
            lines += [f"{indent}  {one}" for one in phrases.address_of(table, row)]
        return lines

    def study(self, name: str) -> list[str]:
        """A study by its id, its author and year, or an identifier: what became of its rows."""
        lines: list[str] = []
        for place in self._studies_called.get(phrases.plain(name), ()):
            lines += self._study_lines(self.body.studies.iloc[place])
        return lines

    def _study_lines(self, study: Mapping) -> list[str]:
        name = study["study_id"]
        lines = [f"{name}: {evidence.label_of(study)}, {study['title']}",
                 *(f"  {address}" for address in phrases.address_of("studies", study)),
                 f"  {vocabulary.CELL_CLASSES[study['cell_class']]}; "
                 f"{vocabulary.DIABETES_TYPES[study['diabetes_type']]}; "
                 f"{vocabulary.DESIGNS[study['design']]}; cohort {study['cohort']} "
                 f"({study['cohort_role'].replace('_', ' ')})",
                 f"  include: {study['include']}"
                 f"{phrases.bracketed(study['exclusion_reason'])}"]  # fmt: skip
        mine = self._effects_of_study.get(name, self.effects.iloc[:0])
        lines.append(f"effects: {len(mine)}")
        for row in records(mine):
            uses = [word for mark, word in (("headline_controlled", "headline"),
                                            ("headline_uncontrolled", "uncontrolled panel"))
                    if row[mark]]  # fmt: skip
            lines += self._effect_lines(row, f" [{', '.join(uses)}]" if uses else "")
        for table, words in FACTS.items():
            facts = self._facts_of_study.get((table, name), [])
            lines += [f"{words}: {len(facts)}"] if facts else []
            for fact in facts:
                lines += self._fact_lines(table, fact)
        return lines + self._left_out(name)

    def _left_out(self, study: str) -> list[str]:
        """The facts of a study that are in no effect and no count, by reason."""
        uses, reasons = self._uses
        by_reason: dict[str, list[str]] = {}
        unknown = "shown in the tables of facts alone"
        if self.estimates.empty:
            unknown = "no results to look in"
        for name, table, row in self._rows_of_study.get(study, ()):
            if name not in uses:
                why = reasons.get(name, [unknown])[0]
                by_reason.setdefault(why, []).append(f"{table}.csv line {row['line']:g}")
        return [f"in no estimate: {len(rows)} of its rows: {reason} ({', '.join(rows)})"
                for reason, rows in by_reason.items()]  # fmt: skip

    def trial(self, name: str) -> list[str]:
        """A registered trial by its number: its row and where it was read."""
        table = self.body.registered_trials
        found = table[table["registry_id"].map(phrases.plain).eq(phrases.plain(name))]
        return [line for row in records(found)
                for line in self.row(reference("registered_trials", row))]  # fmt: skip

    def cohort(self, name: str) -> list[str]:
        """The reports of a group of patients."""
        studies = self.body.studies
        mine = studies[studies["cohort"].map(phrases.plain).eq(phrases.plain(name))]
        if mine.empty:
            return []
        return [f"cohort {mine['cohort'].iloc[0]}: {len(mine)} reports"] + [
            f"  {row['study_id']}: {evidence.label_of(row)} ({row['cohort_role']})"
            for row in records(mine)
        ]


def _same(table: pd.DataFrame, parts: Mapping, names: tuple[str, ...]) -> pd.Series:
    same = pd.Series(True, index=table.index)
    for name in names:
        same &= table[name] == parts[name]
    return same


def _places_of(names: Iterable[str]) -> dict[str, int]:
    """Name in lower case -> where it first stands."""
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        places.setdefault(name.lower(), place)
    return places
