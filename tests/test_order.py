"""Where a row stands in its file decides nothing."""

from __future__ import annotations

import csv
import io
import random
from importlib import import_module
from pathlib import Path

import pandas as pd
import pytest

from analysis import evidence as ev
from analysis import pipeline, registered, results, store
from analysis.counting import duration_facts, ever_free, harm_facts, share_facts
from analysis.evidence.references import renamed
from analysis.stages import harms as harms_stage


def shuffle_files(raw: Path, seed: int) -> None:
    """Put the rows of every table of a folder into another order."""
    for path in raw.glob("*.csv"):
        rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))
        body = rows[1:]
        random.Random(seed).shuffle(body)
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([rows[0], *body])


@pytest.fixture
def shuffled(raw_dir: Path) -> ev.Evidence:
    shuffle_files(raw_dir, 5)
    return ev.load(raw_dir)


def test_shuffled_files_are_the_same_evidence(evidence, shuffled):
    moved = 0
    for name, table in vars(evidence).items():
        if isinstance(table, pd.DataFrame) and name != "changes":
            other = getattr(shuffled, name)
            pd.testing.assert_frame_equal(table.drop(columns="line"), other.drop(columns="line"))
            moved += int((table["line"] != other["line"]).sum())
    assert moved > 1000  # they were shuffled


def test_each_row_keeps_the_line_on_which_it_stands(shuffled, raw_dir):
    for name in pipeline.evidence_digests(shuffled):
        printed = list(csv.DictReader(io.StringIO((raw_dir / name).read_text(encoding="utf-8"))))
        for row in shuffled.table(name).head(20).to_dict("records"):
            there = printed[row["line"] - 2]  # no cell holds a line end
            key = [c for c in ev.KEYS.get(name, ()) if not ev.TABLES[name][c].numeric]
            assert [row[column] for column in key] == [there[column] for column in key]


def test_a_table_in_another_order_makes_no_stage_run_again(evidence, shuffled):
    before, after = pipeline.evidence_digests(evidence), pipeline.evidence_digests(shuffled)
    assert {name for name in before if before[name] != after[name]} <= {"CHANGES.csv"}


def _facts(read: ev.Evidence) -> dict[str, str]:
    """What the rooms of facts make of the evidence, with names of rows instead of lines."""

    def told(frame: pd.DataFrame) -> str:
        frame = frame.copy()
        for column in {"source_rows", "source_row"} & set(frame):
            frame[column] = [renamed(read, names) for names in frame[column]]
        if "line" in frame:
            kind = frame["table"] + ":" if "table" in frame else "independence:"
            frame["line"] = [renamed(read, name) for name in kind + frame["line"].astype(str)]
            frame = frame.sort_values(list(frame))
        return results.as_text(frame)

    layer, left = duration_facts.layer(read)
    counts, not_counted = ever_free.ever_counts(read)
    counted = share_facts.table(read)
    harmed = harm_facts.table(read)
    return {
        "durations": told(layer),
        "durations left out": told(left),
        "ever free": told(counts),
        "ever free left out": told(not_counted),
        "shares": told(counted.facts),
        "harms": told(harmed.rows),
        "harms left out": told(harmed.exclusions),
        "groups of patients": harm_facts.patient_table(read).to_csv(),
        "harms named": pd.DataFrame(harms_stage.events(read)).to_csv(),
        "trials": registered.trials(read).drop(columns="line", errors="ignore").to_csv(),
    }


def test_shuffled_files_give_the_same_facts(evidence, shuffled):
    before, after = _facts(evidence), _facts(shuffled)
    for name in before:
        assert before[name] == after[name], name


def everything(raw: Path) -> dict[str, bytes]:
    """Every table that the stages without a sampler make of a folder, as it would be written."""
    read = pipeline.Noted.of(ev.load(raw))
    made, tables, texts = {}, {}, {}
    for stage in pipeline.STAGES:
        if stage.sampled:
            continue
        further = {}
        if stage.last:
            joined = store.join_estimates(texts)[0]
            further = {"estimates": results.parse("estimates", joined), "tables": tables}
        run = getattr(import_module(stage.module), stage.function)
        result = run(read, progress=lambda part: None, **further)
        texts[stage.name] = results.as_text(result.estimates)
        for name, table in result.tables.items():
            made[name] = results.as_text(table)
            tables[name] = results.parse(name, made[name])
    return {**made, "estimates": store.join_estimates(texts)[0]}


@pytest.mark.slow
def test_shuffled_files_give_the_same_bytes_of_every_table(tracked_raw, raw_dir):
    before = everything(tracked_raw)
    shuffle_files(raw_dir, 7)
    after = everything(raw_dir)
    sampled = {"witness"}
    assert set(before) >= set(results.TABLES) - sampled
    for name in before:
        assert before[name] == after[name], name
