"""What machines read beside the report: complete, as its schema says, described as asked."""

import json
import shutil

import jsonschema
import pytest

from analysis import exchange, results


@pytest.fixture(scope="module")
def written(run_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    made = {form: folder / f"report.{form}" for form in ("html", "pdf")}
    paths = exchange.write(run_folder, made)
    assert [path.name for path in paths] == [exchange.ESTIMATES, exchange.SCHEMA, exchange.CRATE]
    return {path.name: json.loads(path.read_text(encoding="utf-8")) for path in paths}


def test_every_estimate_of_the_run_is_there_with_its_parts(written, run_folder):
    table = results.read(run_folder, "estimates")
    told = written[exchange.ESTIMATES]["estimates"]
    assert [row["id"] for row in told] == list(table["id"])
    for row, mean in zip(told, table["mean"], strict=True):
        assert row["mean"] == (None if mean != mean else mean)


def test_the_estimates_are_as_their_schema_says(written):
    schema = written[exchange.SCHEMA]
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(written[exchange.ESTIMATES], schema)


@pytest.mark.parametrize(
    ("column", "value"), [("design", "observational"), ("mean", "1.2"), ("k_studies", 1.5)]
)
def test_the_schema_refuses_what_is_no_estimate(written, column, value):
    spoilt = json.loads(json.dumps(written[exchange.ESTIMATES]))
    spoilt["estimates"][0][column] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(spoilt, written[exchange.SCHEMA])


def test_the_schema_tells_what_each_column_means():
    told = exchange.schema()["properties"]["estimates"]["items"]["properties"]
    for spec in results.TABLES["estimates"].columns:
        assert told[spec.name]["description"].startswith(spec.meaning)


def test_the_crate_describes_each_file_beside_the_page(written):
    crate = written[exchange.CRATE]
    assert crate["@context"] == exchange.CONTEXT
    known = {entry["@id"]: entry for entry in crate["@graph"]}
    assert len(known) == len(crate["@graph"])
    assert known[exchange.CRATE]["about"] == {"@id": "./"}
    root = known["./"]
    files = [part["@id"] for part in root["hasPart"]]
    assert files == ["report.html", "report.pdf", exchange.ESTIMATES, exchange.SCHEMA]
    assert all(known[name]["@type"] == "File" for name in files)
    for word in ("name", "description", "datePublished", "license"):
        assert root[word]
    assert all(author["@id"] in known for author in root["author"])


def test_documents_elsewhere_are_not_described(run_folder, tmp_path):
    made = {"html": tmp_path / "a" / "x.html", "pdf": tmp_path / "b" / "x.pdf"}
    made["html"].parent.mkdir()
    exchange.write(run_folder, made)
    text = (tmp_path / "a" / exchange.CRATE).read_text(encoding="utf-8")
    assert "x.html" in text and "x.pdf" not in text


def test_the_citation_is_that_of_the_citation_file(monkeypatch, tmp_path):
    known = exchange.citation()
    assert known["authors"] and known["date"][:4].isdigit()
    monkeypatch.setattr(exchange, "CITATION", tmp_path / "absent.cff")
    assert exchange.citation()["authors"] == []
    shutil.rmtree(tmp_path)
