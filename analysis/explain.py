"""From a name in the report to the facts behind it: estimate, rule, effects, raw rows, addresses.

`explain` takes any name the report prints (an estimate, an effect, a claim, a figure or table, a
raw row, a study) and what a person may type instead (an outcome, an approach, an author and year).
It only reads: estimates and claims as they were written, effects built anew from the evidence. A
name that is not known is answered with those that look like it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from analysis import cohorts, effects, evidence, outcomes, results, risk_of_bias, vocabulary
from analysis.evidence.references import find as find_row

ALL = "all"
MOST = 12
"""Most lines of one kind that are printed; how many more there are is said."""


class Unknown(LookupError):
    """No such name; the message offers those that look like it."""


def explain(
    name: str,
    body: evidence.Evidence,
    out: Path | None = None,
    source: Path | None = None,
) -> list[str]:
    """What stands behind a name, as lines of text.

    Parameters
    ----------
    name : an id that the report prints, or what a person means by it.
    body : the evidence.
    out : the folder of the results; without it, names of the evidence alone are known.
    source : the report's source, in which figures and tables have their names.

    Raises
    ------
    Unknown : nothing is called so.
    """
    return _Explainer(body, out, source).lines(" ".join(name.split()))


class _Explainer:
    def __init__(self, body: evidence.Evidence, out: Path | None, source: Path | None):
        self.body, self.out, self.source = body, out, source
        self.unread: dict[str, str] = {}

    @cached_property
    def built(self) -> effects.EffectsResult:
        return effects.build(self.body)

    @property
    def effects(self) -> pd.DataFrame:
        return self.built.effects

    @property
    def exclusions(self) -> pd.DataFrame:
        return self.built.exclusions

    @cached_property
    def estimates(self) -> pd.DataFrame:
        return self.table("estimates")

    def table(self, name: str) -> pd.DataFrame:
        """A table of the results; empty where there are none."""
        if self.out is None:
            return results.TABLES[name].empty()
        try:
            return results.read(self.out, name)
        except results.ContractError as error:
            self.unread[name] = str(error)
            return results.TABLES[name].empty()

    def lines(self, name: str) -> list[str]:
        """The lines for a name: the first kind of thing that is called so.

        Where a table of the results is not as declared, what it would add is left out, and said.
        """
        found = self._found(name)
        return found + [f"left out, because it cannot be read: {table}.csv: {fault}"
                        for table, fault in self.unread.items()]  # fmt: skip

    def _found(self, name: str) -> list[str]:
        for way in (self._estimate, self._claim, self._effect, self._row, self._study, self._cohort,
                    self._figure, self._outcome, self._word, self._part):  # fmt: skip
            found = way(name)
            if found:
                return found
        near = self._near(name)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise Unknown(f"{name}: nothing is called so{hint}")

    # --- estimates

    def _estimate(self, name: str) -> list[str]:
        found = self.estimates[self.estimates["id"].str.lower() == name.lower()]
        if found.empty:
            return []
        one = found.iloc[0]
        about = outcomes.get(one["outcome"])
        lines = [one["id"], f"  {about.title}; {_stratum(one)}; {_design(one)}",
                 f"  {results.QUANTITIES[one['quantity']]}{_when(one)}",
                 f"  {figures(one)}"]  # fmt: skip
        if one["note"]:
            lines.append(f"  note: {one['note']}")
        lines += [f"rule: {results.VARIANTS[one['variant']]}; {results.METHODS[one['method']]} "
                  "(docs/protocol.md, Methods of the report)", *self._told(one),
                  *self._certainty(one)]  # fmt: skip
        rows = self._effects_of(one)
        if about.kind != outcomes.CONTINUOUS:
            return lines + self._counted(one)
        lines.append(f"effects: {len(rows)}")
        for row in rows.to_dict("records"):
            lines += self._effect_lines(row)
        return lines

    def _told(self, one: Mapping) -> list[str]:
        """How the headline of the estimate's stratum and design is told."""
        table = self.table("headlines")
        same = _same(table, one, ("outcome", "approach", "population", "design"))
        meaning = {word: text for word, text in results.tables.headlines.TOLD.items()}
        return [f"told as: {meaning[word]}" for word in table[same]["told"]]

    def _certainty(self, one: Mapping) -> list[str]:
        table = self.table("certainty")
        own = table[table["estimate_id"] == one["id"]]
        return [f"certainty: {row.level.replace('_', ' ')} ({row.reasons})"
                for row in own.itertuples()]  # fmt: skip

    def _effects_of(self, one: Mapping) -> pd.DataFrame:
        """The effects that stand in an estimate: those of its stratum, design and variant."""
        from analysis import questions
        from analysis.stages import headlines

        if outcomes.get(one["outcome"]).kind != outcomes.CONTINUOUS or one["design"] == ALL:
            return self.effects.iloc[:0]
        body = questions.Body(self.body)
        question = questions.Question(
            one["outcome"], one["approach"], one["population"], one["design"]
        )
        rows = body.rows(question)
        if one["variant"] != "headline":
            judged = risk_of_bias.overalls(self.body.risk_of_bias)
            for variant, chosen, _, _ in headlines.variants(body, question, judged):
                if variant == one["variant"]:
                    rows = chosen
        if one["cell_class"] != ALL:
            rows = rows[rows["cell_class"] == one["cell_class"]]
        return rows

    def _effect_lines(self, row: Mapping) -> list[str]:
        """An effect in a line, and its raw rows with their addresses."""
        value = _value(row)
        lines = [f"  {row['effect_id']}: {row['label']}, month {row['months']:g}, {value}"]
        for reference in row["source_rows"].split(";"):
            lines += [f"    {text}" for text in self._short(reference)]
        return lines

    def _counted(self, one: Mapping) -> list[str]:
        """The counted facts of an estimate of a share, a rate or a duration."""
        raw = outcomes.get(one["outcome"]).raw
        lines: list[str] = []
        for name, table in results.TABLES.items():
            if "source_rows" not in table.names or not name.endswith("_facts"):
                continue
            facts = self.table(name)
            keep = pd.Series(True, index=facts.index)
            if "outcome" in facts:
                keep &= facts["outcome"] == one["outcome"]
            elif "event" in facts:
                keep &= facts["event"].isin(raw)
                wanted = "treatment_related" if one["variant"] == "related" else "any"
                keep &= facts["relation"] == wanted
            elif outcomes.get(one["outcome"]).kind != outcomes.DURATION:
                continue
            if one["approach"] != ALL:
                keep &= facts["approach"] == one["approach"]
            if one["population"] != ALL:
                keep &= cohorts.in_population(facts["population"], one["population"])
            for row in facts[keep].to_dict("records"):
                lines += self._fact_lines(row)
        return [f"facts: {sum(not line.startswith('    ') for line in lines)}", *lines]

    def _fact_lines(self, row: Mapping) -> list[str]:
        words = [str(row.get("label") or row["study_id"])]
        if "k" in row and "n" in row:
            bound = "at least " if row.get("bound") == "at_least" else ""
            words.append(f"{bound}{row['k']:g} of {row['n']:g}")
        words += [str(row[c]) for c in ("criterion", "kind") if row.get(c)]
        lines = ["  " + ", ".join(words)]
        for reference in str(row["source_rows"]).split(";"):
            lines += [f"    {text}" for text in self._short(reference)]
        return lines

    # --- claims

    def _claim(self, name: str) -> list[str]:
        table = self.table("claims")
        found = table[table["claim_id"].str.lower() == name.lower()]
        if found.empty:
            return []
        one = found.iloc[0]
        lines = [f"{one['claim_id']}: {one['claim']}", f"  verdict: {one['verdict']}"
                 + (f" (decided by: {one['capped_by']})" if one["capped_by"] else "")]  # fmt: skip
        if np.isfinite(one["probability"]):
            lines.append(f"  probability: {_probability(one['probability'])}")
        if one["certainty"]:
            lines.append(f"  certainty: {one['certainty'].replace('_', ' ')}")
        if np.isfinite(one["value"]):
            lines.append(f"  decided by: {one['estimand']}, {figures(one, 'value')}")
        if one["caveat"]:
            lines.append(f"  caveat: {one['caveat']}")
        lines.append(f"rule: a claim of {one['kind'].replace('_', ' ')} (docs/protocol.md, "
                     "verdicts on public claims)")  # fmt: skip
        for estimate in one["estimate_ids"].split():
            match = self.estimates[self.estimates["id"] == estimate]
            told = figures(match.iloc[0]) if len(match) else "not in these results"
            lines.append(f"  estimate {estimate}: {told}")
        for reference in filter(None, one["source_rows"].split(";")):
            lines += [f"  {text}" for text in self._short(reference)]
        if one["estimate_ids"]:
            lines.append(f"next: isletmeta explain {one['estimate_ids'].split()[0]}")
        return lines

    # --- effects, rows, studies

    def _effect(self, name: str) -> list[str]:
        found = self.effects[self.effects["effect_id"].str.lower() == name.lower()]
        if found.empty:
            return []
        row = found.iloc[0]
        lines = effects.explain(self.effects, self.body, row["effect_id"])
        return lines + self._stands_in(row)

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
            lines.append(f"  {_stratum(parts)}, {one.design}: weight {one.weight:.0%}, {name}")
        return ["stands in:", *lines] if lines else []

    def _row(self, name: str) -> list[str]:
        found = self._raw(name)
        if found is None:
            return []
        table, row = found
        cells = [f"{column}: {_text(value)}" for column, value in row.items()
                 if column != "line" and _text(value)]  # fmt: skip
        lines = [f"{table}.csv line {row['line']:g}", *(f"  {cell}" for cell in cells)]
        uses = [e for e, rows in zip(self.effects["effect_id"], self.effects["source_rows"],
                                     strict=True) if _named(rows, table, row)]  # fmt: skip
        lines += [f"effect: {use}" for use in uses]
        out = self.exclusions
        if "row" in out:
            out = out[out["row"].map(lambda reference: _named(reference, table, row))]
            lines += [f"not in any effect: {reason}" for reason in out["reason"]]
        return lines

    def _raw(self, name: str) -> tuple[str, pd.Series] | None:
        """The table and row of a reference, by its name or by its line."""
        match = re.fullmatch(r"(\w+?)(?:\.csv)?:(?:line )?(\w+)", name)
        if match is None or not hasattr(self.body, match[1]):
            return None
        table = getattr(self.body, match[1])
        if not isinstance(table, pd.DataFrame) or "line" not in table:
            return None
        if len(match[2]) < 8 and match[2].isdigit():
            rows = table[table["line"] == int(match[2])]
            return (match[1], rows.iloc[0]) if len(rows) else None
        try:
            return match[1], find_row(self.body, f"{match[1]}:{match[2]}")
        except KeyError:
            return None

    def _short(self, reference: str) -> list[str]:
        """A raw row in a line, and its address."""
        found = self._raw(reference.strip())
        if found is None:
            return [f"{reference}: not in this evidence"]
        table, row = found
        left = ("study_id", "line", "source_url", "seen_in", "extraction", "notes", "location",
                "caveats")  # fmt: skip
        cells = [_text(value) for column, value in row.items() if column not in left]
        return [f"{table}.csv line {row['line']:g}: {', '.join(filter(None, cells))}",
                f"  {row['source_url']} ({row['seen_in'].replace('_', ' ')})"]  # fmt: skip

    def _study(self, name: str) -> list[str]:
        studies = self.body.studies
        labels = studies.apply(evidence.label_of, axis=1)
        plain = _plain(name)
        same = studies["study_id"].map(_plain).eq(plain) | labels.map(_plain).eq(plain)
        for column in ("doi", "pmid", "pmcid", "registry_id"):
            same |= studies[column].map(_plain).eq(plain) & studies[column].ne("")
        lines: list[str] = []
        for study in studies[same].to_dict("records"):
            lines += self._study_lines(study)
        return lines

    def _study_lines(self, study: Mapping) -> list[str]:
        name = study["study_id"]
        lines = [f"{name}: {evidence.label_of(study)}, {study['title']}",
                 f"  {study['source_url']} ({study['seen_in'].replace('_', ' ')})",
                 f"  {vocabulary.CELL_CLASSES[study['cell_class']]}; "
                 f"{vocabulary.DIABETES_TYPES[study['diabetes_type']]}; "
                 f"{vocabulary.DESIGNS[study['design']]}; cohort {study['cohort']} "
                 f"({study['cohort_role'].replace('_', ' ')})",
                 f"  include: {study['include']}"
                 f"{_bracketed(study['exclusion_reason'])}"]  # fmt: skip
        for table in ("outcomes", "directions", "responders", "independence", "safety"):
            rows = getattr(self.body, table)
            count = int((rows["study_id"] == name).sum())
            if count:
                lines.append(f"  {table}.csv: {count} {'row' if count == 1 else 'rows'}")
        mine = self.effects[self.effects["study_id"] == name]
        lines.append(f"effects: {len(mine)}")
        for row in mine.to_dict("records"):
            uses = [word for mark, word in (("headline_controlled", "headline"),
                                            ("headline_uncontrolled", "uncontrolled panel"))
                    if row.get(mark)]  # fmt: skip
            used = f" [{', '.join(uses)}]" if uses else ""
            lines.append(f"  {row['effect_id']}: {_value(row)}{used}")
        out = self.exclusions[self.exclusions["study_id"] == name]
        counts = out.groupby("reason", sort=False).size()
        lines += [f"not in any effect: {count} of its rows: {reason}"
                  for reason, count in counts.items()]  # fmt: skip
        return lines

    def _cohort(self, name: str) -> list[str]:
        studies = self.body.studies
        mine = studies[studies["cohort"].map(_plain).eq(_plain(name))]
        if mine.empty:
            return []
        return [f"cohort {mine['cohort'].iloc[0]}: {len(mine)} reports"] + [
            f"  {row['study_id']}: {evidence.label_of(row)} ({row['cohort_role']})"
            for row in mine.to_dict("records")
        ]

    # --- figures and tables of the report

    def _figure(self, name: str) -> list[str]:
        label = name.lstrip("#@").lower()
        if self.source is None or not Path(self.source).exists():
            return []
        text = Path(self.source).read_text(encoding="utf-8")
        for block in re.findall(r"(?ms)^```\{python\}\n(.*?)^```", text):
            options = dict(re.findall(r"(?m)^#\| ([\w-]+): *(.*)$", block))
            if options.get("label", "").lower() != label:
                continue
            code = [line for line in block.splitlines() if line and not line.startswith("#|")]
            caption = options.get("fig-cap") or options.get("tbl-cap") or ""
            lines = [f"{options['label']}: {caption.strip(chr(34))}"]
            lines += [f"drawn by: {line}" for line in code]
            return lines + self._reads("\n".join(code))
        return []

    def _reads(self, code: str) -> list[str]:
        """The tables of the results that the functions of a cell read, by their source."""
        import inspect

        from analysis.report import figures as drawn
        from analysis.report import tables as set_

        rooms = {"figures": drawn, "tables": set_}
        read: list[str] = []
        for room, function in re.findall(r"\b(figures|tables)\.(\w+)\(", code):
            made = getattr(rooms[room], function, None)
            source = inspect.getsource(made) if callable(made) else ""
            read += [name for name in results.TABLES if re.search(rf'["\']{name}["\']', source)]
        return [f"reads: data/processed/{name}.csv: {results.TABLES[name].about}"
                for name in dict.fromkeys(read)]  # fmt: skip

    # --- what a person means

    def _outcome(self, name: str) -> list[str]:
        plain = _plain(name)
        meant = [
            about
            for about in outcomes.OUTCOMES.values()
            if plain in {_plain(word) for word in (about.name, about.title, about.noun, about.short,
                                                   *about.raw)}
        ]  # fmt: skip
        lines: list[str] = []
        for about in meant:
            lines.append(f"{about.name}: {about.title}")
            head = self.estimates[self.estimates["outcome"] == about.name]
            head = head[(head["variant"] == "headline") & (head["method"] == "exact")
                        & head["quantity"].isin(["mean", "share", "rate", "survival"])]  # fmt: skip
            if about.is_ratio:
                head = head[head["scale"] == "ratio"]
            for one in head.head(MOST).to_dict("records"):
                lines.append(f"  {one['id']}: {figures(one)}")
            if len(head) > MOST:
                lines.append(f"  and {len(head) - MOST} more")
            if about.kind == outcomes.CONTINUOUS:
                mine = self.effects[self.effects["outcome"] == about.name]
                lines.append(f"  effects: {len(mine)} of {mine['study_id'].nunique()} studies")
        return lines

    def _word(self, name: str) -> list[str]:
        """An approach, a population or a class of cells."""
        plain = _plain(name)
        for column, words in (("approach", vocabulary.APPROACHES),
                              ("population", vocabulary.POPULATIONS),
                              ("cell_class", vocabulary.CELL_CLASSES)):  # fmt: skip
            for word, label in words.items():
                if plain not in (_plain(word), _plain(label)):
                    continue
                told = self.estimates["quantity"].isin(["mean", "share", "rate"])
                told &= self.estimates["variant"].eq("headline")
                head = self.estimates[told & self.estimates[column].eq(word)]
                lines = [f"{word}: {label}", f"  estimates: {len(head)}"]
                return lines + [f"  {one['id']}: {figures(one)}"
                                for one in head.head(MOST).to_dict("records")]  # fmt: skip
        return []

    def _part(self, name: str) -> list[str]:
        """Names of which the typed one is a part: the thing itself, or the choice."""
        plain = name.lower()
        found = [known for known in self._names() if plain in known.lower()]
        if not found or len(plain) < 3:
            return []
        if len(found) == 1:
            return self._found(found[0])
        shown = [f"  {known}" for known in found[:MOST]]
        more = [f"  and {len(found) - MOST} more"] if len(found) > MOST else []
        return [f"{name}: {len(found)} names have it", *shown, *more]

    def _names(self) -> list[str]:
        """Every name that is known, each once."""
        names: Iterable[str] = (
            *self.table("claims")["claim_id"], *self.body.studies["study_id"],
            *outcomes.OUTCOMES, *self.estimates["id"], *self.effects["effect_id"],
        )  # fmt: skip
        return list(dict.fromkeys(names))

    def _near(self, name: str) -> list[str]:
        by_plain = {known.lower(): known for known in self._names()}
        near = difflib.get_close_matches(name.lower(), by_plain, 5, 0.55)
        return [by_plain[word] for word in near]


# --- words ---------------------------------------------------------------------------------------


def figures(one: Mapping, centre: str = "mean") -> str:
    """The figures of an estimate or a claim, with what they rest on."""
    value = one[centre]
    if value != value and one.get("median", np.nan) == one.get("median", np.nan):
        value = one["median"]
    unit = one.get("unit") or ""
    if value != value:
        text = "no figure"
    elif one.get("scale") == "probability":
        text = _probability(value)
    else:
        text = f"{_figure(value)} {unit}".strip()
    if one.get("ci_low", np.nan) == one.get("ci_low", np.nan):
        text += f" (95 % interval {_figure(one['ci_low'])} to {_figure(one['ci_high'])})"
    if one.get("pred_low", np.nan) == one.get("pred_low", np.nan):
        text += f"; a new study {_figure(one['pred_low'])} to {_figure(one['pred_high'])}"
    if one["k_studies"] == one["k_studies"]:
        text += f"; {one['k_studies']:g} {'study' if one['k_studies'] == 1 else 'studies'}"
    if one["n_patients"] == one["n_patients"]:
        text += f", {one['n_patients']:g} patients"
    return text


def _figure(value: float) -> str:
    """Three significant digits, never in powers of ten, and never a zero that is none."""
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    digits = 2 - int(np.floor(np.log10(abs(value))))
    return f"{value:.{min(max(digits, 0), 8)}f}"


def _probability(value: float) -> str:
    if value <= 0.001:
        return "at most 0.001"
    return "at least 0.999" if value >= 0.999 else f"{value:.3f}"


def _stratum(one: Mapping) -> str:
    approach = vocabulary.APPROACHES.get(one["approach"], "all approaches")
    population = vocabulary.POPULATIONS[one["population"]]
    cells = one.get("cell_class", ALL)
    words = [approach, population]
    if cells not in (ALL, ""):
        words.append(vocabulary.CELL_CLASSES.get(cells, cells))
    return ", ".join(words)


def _design(one: Mapping) -> str:
    return {
        "controlled": "contrasts against controls",
        "randomised": "randomised contrasts",
        "uncontrolled": "changes within the treated",
    }.get(one["design"], "all designs")


def _when(one: Mapping) -> str:
    text = f"; threshold {one['threshold']:g}" if one["threshold"] == one["threshold"] else ""
    return text + (f"; month {one['month']:g}" if one["month"] == one["month"] else "")


def _value(row: Mapping) -> str:
    """An effect's number and standard error, or what is known in its stead."""
    if row["kind"] != "numeric":
        return "in words or as a p-value only"
    about = outcomes.get(row["outcome"])
    se = np.sqrt(row["var_a"] - effects.Rules.r * row["var_b"])
    shown = f"{_figure(about.shown(row['y']))} {'ratio' if about.is_ratio else about.unit}"
    scale = " on the log scale" if about.is_ratio else ""
    return shown + (f", SE {_figure(se)}{scale}" if se == se else ", no spread printed")


def _same(table: pd.DataFrame, parts: Mapping, names: tuple[str, ...]) -> pd.Series:
    same = pd.Series(True, index=table.index)
    for name in names:
        same &= table[name] == parts[name]
    return same


def _named(references: str, table: str, row: Mapping) -> bool:
    """Whether a row is among references, by name or line."""
    from analysis.evidence.references import reference

    wanted = {f"{table}:{row['line']:g}", reference(table, row)}
    return bool(wanted & set(str(references).split(";")))


def _text(value: object) -> str:
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:g}"
    return str(value)


def _bracketed(text: str) -> str:
    return f" ({text})" if text else ""


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9<>]+", "", str(text).lower())
