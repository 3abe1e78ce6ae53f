"""Files as people save them: nothing said of blank rows and columns, else one fault and a hint."""

import csv
import io

import pytest
from conftest import every

from analysis import evidence as ev
from analysis.evidence import hints, reading
from analysis.evidence.schema import TABLES, Column

OUT = "outcomes.csv"
LINE = 36  # cai2016, treated, HbA1c at month 0: value 8.6, spread 0.81


@pytest.fixture
def rows(tracked_raw):
    with (tracked_raw / OUT).open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def saved(rows, delimiter=",", end="\n", encoding="utf-8", quoting=csv.QUOTE_MINIMAL) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows(rows)
    return buffer.getvalue().encode(encoding)


def only_fault(raw) -> ev.Fault:
    faults = ev.check(raw)
    assert len(faults) == 1, "\n".join(map(str, faults)) or "no fault"
    return faults[0]


# --- what says nothing -------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_a_byte_order_mark_say_nothing(raw_dir, rows, evidence, end, mark):
    (raw_dir / OUT).write_bytes(mark + saved(rows, end=end))
    assert ev.load(raw_dir).outcomes.equals(evidence.outcomes)


def test_all_cells_quoted_say_nothing(raw_dir, rows, evidence):
    (raw_dir / OUT).write_bytes(saved(rows, quoting=csv.QUOTE_ALL))
    assert ev.load(raw_dir).outcomes.equals(evidence.outcomes)


def test_blank_rows_and_columns_anywhere_say_nothing(raw_dir, rows, evidence):
    width = len(rows[0])
    rows = [[""] * width, *rows[:5], [" "] * width, *rows[5:], *([[""] * width] * 4)]
    rows = [["", *row[:3], "", *row[3:], "", " "] for row in rows]
    (raw_dir / OUT).write_bytes(saved(rows, end="\r\n"))
    columns = evidence.outcomes.columns.drop("line")
    assert ev.load(raw_dir).outcomes[columns].equals(evidence.outcomes[columns])


def test_cells_of_nothing_beyond_the_header_say_nothing(raw_dir, rows, evidence):
    rows[7] += ["", "", ""]
    (raw_dir / OUT).write_bytes(saved(rows))
    assert ev.load(raw_dir).outcomes.equals(evidence.outcomes)


# --- one fault for a file that cannot be read ----------------------------------------------------


@pytest.mark.parametrize(
    ("delimiter", "called"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")]
)
def test_another_delimiter_is_one_fault_that_says_how_to_save(raw_dir, rows, delimiter, called):
    rows[LINE][7] = "8,6"
    (raw_dir / OUT).write_bytes(saved(rows, delimiter=delimiter))
    fault = only_fault(raw_dir)
    assert (fault.file, fault.line, fault.column) == (OUT, 1, "(file)")
    assert called in fault.value and "CSV UTF-8 (Comma delimited)" in fault.allowed


@pytest.mark.parametrize(("delimiter", "called"), [(";", "semicolons"), ("\t", "tabs")])
def test_another_delimiter_between_quoted_cells_is_the_same_fault(raw_dir, rows, delimiter, called):
    quoted = [delimiter.join(f'"{cell}"' for cell in row) for row in rows]
    (raw_dir / OUT).write_text("\n".join(quoted), encoding="utf-8")
    fault = only_fault(raw_dir)
    assert (fault.file, fault.line, fault.column) == (OUT, 1, "(file)")
    assert called in fault.value and "CSV UTF-8 (Comma delimited)" in fault.allowed


@pytest.mark.parametrize("cells", [["Total"], ["# my note"], ["", "", "all of them"]])
def test_a_row_of_one_cell_is_one_fault(raw_dir, rows, cells):
    rows.append(cells + [""] * (len(rows[0]) - len(cells)))
    (raw_dir / OUT).write_bytes(saved(rows))
    fault = only_fault(raw_dir)
    assert (fault.column, fault.value) == ("(row)", next(filter(None, cells)))
    assert "totals" in fault.allowed


@pytest.mark.parametrize(
    "above", [[["Table 1. Outcomes"]], [["sep=,"]], [["made", "2020"], [], ["x"]]]
)
def test_lines_above_the_header_are_one_fault(raw_dir, rows, above):
    (raw_dir / OUT).write_bytes(saved([*above, *rows]))
    fault = only_fault(raw_dir)
    assert fault.line == 1 and f"delete what stands above line {len(above) + 1}" in fault.allowed


def test_a_separator_line_of_a_spreadsheet_with_semicolons_is_one_fault(raw_dir, rows):
    (raw_dir / OUT).write_bytes(b"sep=;\r\n" + saved(rows, delimiter=";"))
    assert "semicolons" in only_fault(raw_dir).value


def test_a_file_without_a_header_is_one_fault(raw_dir, rows):
    (raw_dir / OUT).write_bytes(saved(rows[1:]))
    fault = only_fault(raw_dir)
    assert fault.column == "(header)" and "study_id,arm,outcome" in fault.allowed


def test_a_header_in_capitals_or_with_spaces_is_one_fault_that_says_so(raw_dir, rows):
    for spoilt in (str.upper, lambda word: word.replace("_", " ").title()):
        (raw_dir / OUT).write_bytes(saved([list(map(spoilt, rows[0])), *rows[1:]]))
        fault = only_fault(raw_dir)
        assert fault.column == "(header)" and "in small letters" in fault.allowed


def test_of_a_column_named_twice_no_cell_is_judged(raw_dir, rows):
    """Which of the two is meant nobody knows: the header alone is at fault."""
    header = list(rows[0])
    header[header.index("months")] = "outcome"
    (raw_dir / OUT).write_bytes(saved([header, *rows[1:]]))
    faults = [fault for fault in ev.check(raw_dir) if fault.file == OUT]
    assert {(fault.line, fault.value) for fault in faults} == {
        (1, "(duplicate column)"), (1, "(missing column)")
    }  # fmt: skip


def test_the_header_of_another_table_is_one_fault(raw_dir):
    (raw_dir / OUT).write_bytes((raw_dir / "safety.csv").read_bytes())
    assert "this is that of safety.csv" in only_fault(raw_dir).allowed


def test_the_header_again_within_the_rows_is_one_fault(raw_dir, rows):
    (raw_dir / OUT).write_bytes(saved([*rows[:9], rows[0], *rows[9:]]))
    fault = only_fault(raw_dir)
    assert fault.line == 10 and "the header again" in fault.value


@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"PK\x03\x04", "workbook"),
        (b"\xd0\xcf\x11\xe0", "workbook"),
        (b"<!DOCTYPE html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1", "Git LFS"),
        (b"%PDF-1.7", "PDF"),
    ],
)
def test_what_is_no_csv_is_called_what_it_is(raw_dir, start, what):
    (raw_dir / OUT).write_bytes(start + b"\n1,2,3\n" * 9)
    assert what in only_fault(raw_dir).value


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_one_fault(raw_dir, rows, encoding):
    (raw_dir / OUT).write_bytes(saved(rows, delimiter="\t", encoding=encoding))
    assert "UTF-8" in only_fault(raw_dir).allowed


@pytest.mark.parametrize(
    ("encoding", "called"), [("utf-32", "UTF-32"), ("utf-16", "UTF-16"), ("utf-16-le", "UTF-16")]
)
def test_an_encoding_of_several_bytes_a_letter_is_named(raw_dir, rows, encoding, called):
    (raw_dir / OUT).write_bytes(saved(rows, encoding=encoding))
    assert only_fault(raw_dir).value == called


def test_a_space_after_each_comma_is_one_fault(raw_dir, rows):
    spaced = [[row[0], *(f" {cell}" for cell in row[1:])] for row in rows]
    (raw_dir / OUT).write_bytes(saved(spaced))
    assert only_fault(raw_dir).value == "a space after each comma"


def test_other_quotation_marks_around_the_cells_are_one_fault(raw_dir, rows):
    (raw_dir / OUT).write_bytes(saved([[f"'{cell}'" for cell in row] for row in rows]))
    assert only_fault(raw_dir).value.startswith("quotation marks other than")


def test_a_row_of_totals_is_one_fault(raw_dir, rows):
    total = ["Total", "", "", "", "1200", *[""] * (len(rows[0]) - 5)]
    (raw_dir / OUT).write_bytes(saved([*rows, total]))
    fault = only_fault(raw_dir)
    assert fault.value == "Total, 1200" and "a row of totals" in fault.allowed


def test_another_encoding_is_one_fault_that_shows_the_letter(raw_dir, rows):
    rows[3][-1] = "Université"
    (raw_dir / OUT).write_bytes(saved(rows, encoding="cp1252", end="\r"))
    fault = only_fault(raw_dir)
    assert fault.line == 4 and "é in Windows-1252" in fault.value


def test_a_renamed_file_is_found(raw_dir):
    before = raw_dir / OUT
    for name in ("Outcomes (1).csv", "outcomes.csv.csv", "outcomes.xlsx"):
        before = before.rename(raw_dir / name)
        assert f"is it {name}?" in only_fault(raw_dir).allowed


def test_a_misspelt_column_is_one_fault_with_its_name(raw_dir, rows):
    rows[0][rows[0].index("spread_low")] = "Spread low"
    (raw_dir / OUT).write_bytes(saved(rows))
    fault = only_fault(raw_dir)
    assert fault.column == "Spread low" and fault.allowed == "write spread_low"


def test_a_comma_too_many_is_a_fault_of_its_row(raw_dir, rows):
    text = saved(rows).replace(b",8.6,", b",8,6,", 1)
    (raw_dir / OUT).write_bytes(text)
    assert "a number a decimal point" in only_fault(raw_dir).allowed


# --- one fault a cell, with a hint ---------------------------------------------------------------

NUMBER = Column("number")
COUNT = Column("count", low=0, high=100_000)


@pytest.mark.parametrize(
    ("text", "meant", "hint"),
    [
        ("−1.0", "-1", "write -1.0"),
        ("–1.0", "-1", "write -1.0"),
        ("- 1.0", "-1", "write -1.0"),
        ("-1,0", "-1", "write -1.0"),
        ("−1,0 %", "-1", "write -1.0, without the percent sign"),
        ("7,55", "7.55", "write 7.55"),
        ("0,125", "0.125", "write 0.125"),
        ("1,234", "", "write 1.234 or 1234"),
        ("1,234.5", "1234.5", "write 1234.5"),
        ("1.234,5", "1234.5", "write 1234.5"),
        ("12 345", "12345", "write 12345"),
        ("'8.5", "8.5", "write 8.5"),
        ("８．５", "8.5", "write 8.5"),
        ("53 %", "53", "write 53, without the percent sign"),
        ("NR", "", "leave the cell blank"),
        ("N/A", "", "leave the cell blank"),
        ("n.a.", "", "leave the cell blank"),
        ("—", "", "leave the cell blank"),
        ("not reported", "", "leave the cell blank"),
        ("#DIV/0!", "", "an error of the spreadsheet"),
        ("<0.05", "", "the number alone: write 0.05"),
        ("p = 0.03", "", "the number alone: write 0.03"),
        ("8.5 ± 1.2", "", "write 8.5 here, its spread apart"),
        ("8.5 (1.2)", "", "write 8.5 here, its spread apart"),
        ("5–10", "", "the two ends of a range"),
        ("12 months", "", "the number alone: write 12"),
        ("0.8 ng/mL", "", "the number alone: write 0.8"),
        ("5-Oct", "", "a spreadsheet made a date of it"),
        ("=AVERAGE(H2:H5)", "", "a formula"),
        ("0x14", "", "digits from 0 to 9 alone"),
        ("O.5", "", "digits only: write 0.5"),
        ("0·50", "0.5", "write 0.50"),
        ("0.50*", "0.5", "the number alone: write 0.50"),
        ("-1.2 †", "-1.2", "the number alone: write -1.2"),
    ],
)
def test_a_number_written_in_another_way_is_understood_or_explained(text, meant, hint):
    assert NUMBER.fault(text) is not None
    found, how = hints.advice(text, NUMBER)
    assert found == meant and hint in how


@pytest.mark.parametrize("text", ["a lot", "12x34", "", "½½", "٣ب"])
def test_what_is_no_number_gets_no_invented_hint(text):
    assert hints.advice(text, NUMBER)[0] == ""


def test_a_hint_never_leads_to_another_fault():
    assert hints.advice("−3", COUNT) == ("", "")
    assert hints.advice("3,5", COUNT) == ("", "")


@pytest.mark.parametrize(
    ("name", "column", "text", "meant"),
    [
        (OUT, "statistic", "Mean", "mean"),
        (OUT, "statistic", "meam", "mean"),
        (OUT, "scale", "percent change", "percent_change"),
        (OUT, "arm", "Treated", "treated"),
        (OUT, "arm", "contol", "control"),
        (OUT, "study_id", "Cai2016", "cai2016"),
        ("studies.csv", "design", "randomised", "rct"),
        ("studies.csv", "doi", "https://doi.org/10.2337/dc15-0871", "10.2337/dc15-0871"),
        ("studies.csv", "doi", "doi: 10.2337/dc15-0871.", "10.2337/dc15-0871"),
        ("studies.csv", "pmid", "26628416.0", "26628416"),
        ("studies.csv", "pmcid", "1234567", "PMC1234567"),
        ("studies.csv", "pmcid", "pmc 1234567", "PMC1234567"),
        ("studies.csv", "registry_id", "NCT 01374854", "NCT01374854"),
        (OUT, "caveats", "restatement; time_not_printed", "restatement time_not_printed"),
    ],
)
def test_a_word_that_was_meant_is_named(name, column, text, meant):
    spec = TABLES[name][column]
    assert spec.fault(text) is not None and spec.fault(meant) is None
    assert hints.advice(text, spec) == (meant, f"write {meant}")


def test_a_letter_that_looks_like_another_is_named(raw_dir, rows):
    rows[LINE][1] = "trеated"  # with a Cyrillic letter
    (raw_dir / OUT).write_bytes(saved(rows))
    text = str(only_fault(raw_dir))
    assert "write treated" in text or "U+0435 CYRILLIC SMALL LETTER IE" in text


@pytest.mark.parametrize("text", ["8,6", "8.6%", "NR", "N/A", "8.6 %", "–8,6x", "８,６"])
@pytest.mark.parametrize("column", ["value", "spread", "n", "months", "p_value"])
def test_one_slip_is_one_fault(raw_dir, rows, column, text):
    rows[LINE][rows[0].index(column)] = text
    (raw_dir / OUT).write_bytes(saved(rows))
    faults = [f for f in ev.check(raw_dir) if f.file == OUT]
    assert [(f.line, f.column) for f in faults] == [(LINE + 1, column)] or (
        # 8.6 months are understood, and are no month 0.
        column in ("months", "p_value") and faults[0].column == column
    )


@pytest.mark.parametrize(
    ("hidden", "shown"),
    [
        ("\u200b", "U+200B ZERO WIDTH SPACE"),
        ("\u00a0", "U+00A0 NO-BREAK SPACE"),
        ("\ufeff", "U+FEFF ZERO WIDTH NO-BREAK SPACE"),
        ("\u202e", "U+202E RIGHT-TO-LEFT OVERRIDE"),
        ("\x1b", "U+001B"),
        ("\x07", "U+0007"),
        ("\t", "U+0009 TAB"),
        ("\n", "U+000A LINE FEED"),
        ("\u2028", "U+2028 LINE SEPARATOR"),
    ],
)
@pytest.mark.parametrize("column", every("value", "outcome", "notes", "arm", fast=2))
def test_an_invisible_character_is_shown_by_its_code_point(raw_dir, rows, column, hidden, shown):
    at = rows[0].index(column)
    text = rows[LINE][at] or "a note"
    rows[LINE][at] = text[:1] + hidden + text[1:] if hidden.strip() else text + hidden
    (raw_dir / OUT).write_bytes(saved(rows))
    fault = next(f for f in ev.check(raw_dir) if f.column == column)
    assert shown in str(fault) and str(fault).isprintable()
    assert fault.line == LINE + 1


def test_messages_are_printable_whatever_the_cell_holds():
    text = "".join(map(chr, [*range(32), 0x7F, 0x85, 0xA0, 0x200E, 0x2029, 0xD800, 0xE000]))
    assert str(ev.Fault("a.csv", 1, "value", text, text)).isprintable()


# --- the same reading for rows to add ------------------------------------------------------------


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("closed", [True, False])
def test_rows_are_appended_with_the_line_end_of_the_file(rows, end, closed):
    data = saved(rows, end=end)
    data = data if closed else data.removesuffix(end.encode())
    row = dict(zip(rows[0], rows[LINE], strict=True)) | {"notes": "added, with a comma"}
    longer = reading.appended(OUT, data, [row])
    assert longer.startswith(data)
    found, faults = reading.records(OUT, reading.text_of(OUT, longer)[0])
    assert faults == [] and len(found) == len(rows) + 1
    assert found[-1] == (len(rows) + 1, list(row.values()))
    assert reading.line_end(longer) == end


def test_rows_are_appended_past_columns_of_nothing(rows):
    data = saved([["", *row, ""] for row in rows])
    row = dict(zip(rows[0], rows[LINE], strict=True))
    found, _ = reading.records(OUT, reading.appended(OUT, data, [row]).decode())
    assert found[-1][1] == ["", *row.values(), ""]
