"""What machines read beside the report: its estimates, what they mean, and who made them.

`estimates.json` holds every estimate of the run by its parts; `estimates.schema.json` (JSON Schema)
says what each part means, from the same declarations as docs/results.md; `ro-crate-metadata.json`
(RO-Crate, JSON-LD) describes the files that lie together. They are written with the page.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import yaml

from analysis import __version__, pipeline, results
from analysis.records import records
from analysis.results.contract import COUNT, FLAG, NUMBER, Column

ESTIMATES, SCHEMA, CRATE = "estimates.json", "estimates.schema.json", "ro-crate-metadata.json"
CITATION = Path(__file__).resolve().parent.parent / "CITATION.cff"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
CONTEXT = "https://w3id.org/ro/crate/1.1/context"
CONFORMS = "https://w3id.org/ro/crate/1.1"
WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
MEDIA = {".html": "text/html", ".pdf": "application/pdf", ".json": "application/json",
         ".docx": WORD}  # fmt: skip


def write(out: Path, made: Mapping[str, Path]) -> list[Path]:
    """Write the three files beside the page `made["html"]`; their paths.

    Parameters
    ----------
    out : folder of the results.
    made : the documents made of them, by format; those in the folder of the page are described.

    Raises
    ------
    ContractError : estimates that are not as declared.
    OSError : the folder cannot be written.
    """
    folder = Path(made["html"]).resolve().parent
    documents = [Path(path) for path in made.values() if Path(path).resolve().parent == folder]
    texts = {ESTIMATES: estimates(out), SCHEMA: schema(), CRATE: crate(documents)}
    for name, held in texts.items():
        text = json.dumps(held, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def estimates(out: Path) -> dict:
    """Every estimate of a run by its parts, and what the run was; blank numbers are null."""
    manifest = pipeline.read_manifest(out)
    table = results.read(out, "estimates")
    columns = results.TABLES["estimates"].columns
    rows = [{spec.name: _value(row[spec.name], spec) for spec in columns} for row in records(table)]
    return {"$schema": SCHEMA, "isletmeta": manifest.get("isletmeta", __version__),
            "code": manifest.get("code", ""), "digest": manifest.get("digest", ""),
            "estimates": rows}  # fmt: skip


def _value(value: object, spec: Column) -> object:
    if spec.kind in (NUMBER, COUNT):
        number = float(str(value))
        if math.isnan(number):
            return None
        return int(number) if spec.kind == COUNT else number
    return bool(value) if spec.kind == FLAG else str(value)


def schema() -> dict:
    """The JSON Schema of `estimates`, from the declared columns."""
    columns = results.TABLES["estimates"].columns
    text = {"type": "string"}
    return {
        "$schema": DIALECT,
        "title": "Estimates of isletmeta",
        "description": results.TABLES["estimates"].about,
        "type": "object",
        "required": ["isletmeta", "code", "digest", "estimates"],
        "properties": {
            "$schema": text,
            "isletmeta": text | {"description": "version of the program"},
            "code": text | {"description": "digest of the code that made the run"},
            "digest": text | {"description": "digest of the run"},
            "estimates": {
                "type": "array",
                "items": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": [spec.name for spec in columns],
                    "properties": {spec.name: _property(spec) for spec in columns},
                },
            },
        },
    }


def _property(spec: Column) -> dict:
    kinds: dict[str, object] = {
        NUMBER: ["number", "null"], COUNT: ["integer", "null"], FLAG: "boolean",
    }  # fmt: skip
    told = f"{spec.meaning} ({spec.unit})" if spec.unit else spec.meaning
    found = {"type": kinds.get(spec.kind, "string"), "description": told}
    return found | ({"enum": list(spec.words)} if spec.words else {})


def crate(documents: list[Path]) -> dict:
    """The RO-Crate of the folder: the report in its formats, the estimates and their schema.

    References
    ----------
    RO-Crate Metadata Specification 1.1.
    """
    known = citation()
    names = [path.name for path in documents]
    files = [*names, ESTIMATES, SCHEMA]
    authors = [{"@id": f"#author{number}", "@type": "Organization", "name": author}
               for number, author in enumerate(known["authors"], 1)]  # fmt: skip
    by = [{"@id": author["@id"]} for author in authors]
    root = {
        "@id": "./", "@type": "Dataset", "name": known["title"], "version": known["version"],
        "description": "A synthesis of the published evidence, its estimates and their meaning.",
        "datePublished": known["date"], "license": known["license"], "author": by,
        "keywords": known["keywords"], "hasPart": [{"@id": name} for name in files],
    }  # fmt: skip
    told = {ESTIMATES: "Every estimate by its parts", SCHEMA: "JSON Schema of the estimates"}
    parts = [
        {"@id": name, "@type": "File", "name": told.get(name, known["title"]),
         "encodingFormat": MEDIA.get(Path(name).suffix, "application/octet-stream")}
        for name in files
    ]  # fmt: skip
    program = {"@id": "#isletmeta", "@type": "SoftwareApplication", "name": "isletmeta",
               "version": __version__, "author": by}  # fmt: skip
    about = {"@id": CRATE, "@type": "CreativeWork", "about": {"@id": "./"},
             "conformsTo": {"@id": CONFORMS}}  # fmt: skip
    return {"@context": CONTEXT, "@graph": [about, root, *parts, program, *authors]}


def citation() -> dict:
    """Title, version, date, licence, authors and keywords, of CITATION.cff where it is there."""
    found = yaml.safe_load(CITATION.read_text(encoding="utf-8")) if CITATION.is_file() else {}
    names = [
        author.get("name") or f"{author.get('given-names', '')} {author['family-names']}".strip()
        for author in found.get("authors", [])
    ]
    return {
        "title": found.get("title", "isletmeta"), "version": found.get("version", __version__),
        "date": str(found.get("date-released", "")), "license": found.get("license", ""),
        "authors": names, "keywords": found.get("keywords", []),
    }  # fmt: skip
