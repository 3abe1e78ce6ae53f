"""An export of ClinicalTrials.gov as records in the words of `registered_trials.csv`.

Reads what the registry's API version 2 returns: one study, a list of studies, or an object with
`studies`. Modules may be missing; what a record does not say is left out, never guessed. A value
of the wrong kind or an unknown word is a `Problem` that names the study and the field. Pieces of a
record that this room has never heard of are counted in `unknown`, so that nothing new in the
registry is lost in silence; known pieces without a column (eligibility, contacts, outcome
measures of the results ...) are passed over.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analysis.evidence.schema import REGISTRIES, REGISTRY_ID

STUDY_PAGE = "https://clinicaltrials.gov/study/"

STATUSES = {
    "NOT_YET_RECRUITING": "not_yet",
    "RECRUITING": "recruiting",
    "ENROLLING_BY_INVITATION": "by_invitation",
    "ACTIVE_NOT_RECRUITING": "active",
    "SUSPENDED": "suspended",
    "COMPLETED": "completed",
    "TERMINATED": "terminated",
    "WITHDRAWN": "withdrawn",
    "UNKNOWN": "unknown",
}
DATE_KINDS = {"ACTUAL": "actual", "ESTIMATED": "expected"}
SIZE_COLUMNS = {"ACTUAL": "n_actual", "ESTIMATED": "n_planned"}
STUDY_TYPES = ("INTERVENTIONAL", "OBSERVATIONAL", "EXPANDED_ACCESS")
ALLOCATIONS = ("RANDOMIZED", "NON_RANDOMIZED", "NA")
MODELS = ("SINGLE_GROUP", "PARALLEL", "CROSSOVER", "FACTORIAL", "SEQUENTIAL")
MASKINGS = {"NONE": "no", "SINGLE": "yes", "DOUBLE": "yes", "TRIPLE": "yes", "QUADRUPLE": "yes"}
ARMS = ("EXPERIMENTAL", "ACTIVE_COMPARATOR", "PLACEBO_COMPARATOR", "SHAM_COMPARATOR",
        "NO_INTERVENTION", "OTHER")  # fmt: skip
CONTROL_ARMS = ("ACTIVE_COMPARATOR", "PLACEBO_COMPARATOR", "SHAM_COMPARATOR", "NO_INTERVENTION")

ANYTHING: dict = {"*": None}
"""A known piece whose inside is not looked at."""

_PARTIAL = {"date": None, "type": None}
_OUTCOME = {"measure": None, "description": None, "timeFrame": None}

KNOWN: dict[str, Any] = {
    "hasResults": None,
    "resultsSection": ANYTHING,
    "annotationSection": ANYTHING,
    "documentSection": ANYTHING,
    "derivedSection": {
        "miscInfoModule": ANYTHING,
        "conditionBrowseModule": ANYTHING,
        "interventionBrowseModule": ANYTHING,
    },
    "protocolSection": {
        "identificationModule": {
            "nctId": None, "nctIdAliases": None, "briefTitle": None, "officialTitle": None,
            "acronym": None, "orgStudyIdInfo": ANYTHING, "organization": ANYTHING,
            "secondaryIdInfos": {"id": None, "type": None, "domain": None, "link": None},
        },
        "statusModule": {
            "statusVerifiedDate": None, "overallStatus": None, "lastKnownStatus": None,
            "delayedPosting": None, "whyStopped": None, "expandedAccessInfo": ANYTHING,
            "startDateStruct": _PARTIAL, "primaryCompletionDateStruct": _PARTIAL,
            "completionDateStruct": _PARTIAL, "studyFirstSubmitDate": None,
            "studyFirstSubmitQcDate": None, "studyFirstPostDateStruct": _PARTIAL,
            "resultsWaived": None, "resultsFirstSubmitDate": None,
            "resultsFirstSubmitQcDate": None, "resultsFirstPostDateStruct": _PARTIAL,
            "dispFirstSubmitDate": None, "dispFirstSubmitQcDate": None,
            "dispFirstPostDateStruct": _PARTIAL, "lastUpdateSubmitDate": None,
            "lastUpdatePostDateStruct": _PARTIAL,
        },
        "sponsorCollaboratorsModule": {
            "responsibleParty": ANYTHING, "leadSponsor": {"name": None, "class": None},
            "collaborators": ANYTHING,
        },
        "oversightModule": ANYTHING,
        "descriptionModule": ANYTHING,
        "conditionsModule": {"conditions": None, "keywords": None},
        "designModule": {
            "studyType": None, "phases": None, "nPtrsToThisExpAccNctId": None,
            "expandedAccessTypes": ANYTHING, "patientRegistry": None, "targetDuration": None,
            "designInfo": {
                "allocation": None, "interventionModel": None,
                "interventionModelDescription": None, "primaryPurpose": None,
                "observationalModel": None, "timePerspective": None,
                "maskingInfo": {"masking": None, "maskingDescription": None, "whoMasked": None},
            },
            "bioSpec": ANYTHING, "enrollmentInfo": {"count": None, "type": None},
        },
        "armsInterventionsModule": {
            "armGroups": {"label": None, "type": None, "description": None,
                          "interventionNames": None},
            "interventions": {"type": None, "name": None, "description": None,
                              "armGroupLabels": None, "otherNames": None},
        },
        "outcomesModule": {"primaryOutcomes": _OUTCOME, "secondaryOutcomes": _OUTCOME,
                           "otherOutcomes": _OUTCOME},
        "eligibilityModule": ANYTHING,
        "contactsLocationsModule": {
            "centralContacts": ANYTHING, "overallOfficials": ANYTHING,
            "locations": {"facility": None, "status": None, "city": None, "state": None,
                          "zip": None, "country": None, "contacts": ANYTHING,
                          "geoPoint": ANYTHING},
        },
        "referencesModule": ANYTHING,
        "ipdSharingStatementModule": ANYTHING,
    },
}  # fmt: skip
"""The pieces of a study record (API version 2, https://clinicaltrials.gov/data-api/about-api);
None is a value, a mapping the pieces of an object or of each object of a list."""


@dataclass(frozen=True)
class Problem:
    """One thing of an export that cannot be used: in which study, which field, what is allowed."""

    study: str
    field: str
    value: str
    allowed: str

    def __str__(self) -> str:
        value = " ".join(self.value.split()) or "(blank)"
        value = value if len(value) <= 120 else value[:117] + "..."
        return ": ".join(filter(None, (self.study, self.field, value, self.allowed)))


@dataclass(frozen=True)
class Record:
    """One study of an export, in the words of `registered_trials.csv`.

    Attributes
    ----------
    registry_id : its number.
    cells : column -> cell as text, only what the record says.
    about_diabetes : whether its conditions, keywords or titles name diabetes.
    is_trial : False for expanded access, which is no study.
    seen_on : the day of the registry's data, else of the record's last update, else "".
    """

    registry_id: str
    cells: Mapping[str, str]
    about_diabetes: bool
    is_trial: bool = True
    seen_on: str = ""


@dataclass(frozen=True)
class Export:
    """What an export says.

    Attributes
    ----------
    source : name of the file.
    records : the studies, in their order.
    problems : everything that cannot be used.
    unknown : piece of a record that is not known here -> number of studies that have it.
    more : whether the export says that further pages exist.
    """

    source: str
    records: tuple[Record, ...] = ()
    problems: tuple[Problem, ...] = ()
    unknown: Mapping[str, int] = field(default_factory=dict)
    more: bool = False


def read(path: Path) -> Export:
    """Read an export; a file that is none gives an `Export` with the reason as its problem."""
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        return _nothing(path.name, error.strerror or "not read", "a file that can be read")
    except UnicodeDecodeError as error:
        return _nothing(path.name, f"byte {error.start + 1}", "JSON in UTF-8")
    return parse(text, path.name)


def parse(text: str, source: str = "") -> Export:
    """The same for the text of an export."""
    try:
        content = json.loads(text, parse_constant=_no_number)
    except (json.JSONDecodeError, RecursionError, ValueError) as error:
        where = f"line {error.lineno}" if isinstance(error, json.JSONDecodeError) else "(text)"
        return _nothing(source, where, "JSON, as the registry's API version 2 returns it")
    more = False
    if isinstance(content, dict) and "protocolSection" in content:
        studies: Any = [content]
    elif isinstance(content, dict) and "studies" in content:
        studies, more = content["studies"], bool(content.get("nextPageToken"))
    else:
        studies = content
    allowed = (
        "a study with protocolSection, a list of studies, or an object with studies "
        "(ClinicalTrials.gov, API version 2)"
    )
    if not isinstance(studies, list):
        return _nothing(source, _kind(studies), allowed)
    if not studies:
        return _nothing(source, "no study", allowed)
    records: list[Record] = []
    problems: list[Problem] = []
    unknown: Counter[str] = Counter()
    places: dict[str, int] = {}
    for position, study in enumerate(studies, start=1):
        if not isinstance(study, dict) or "protocolSection" not in study:
            problems.append(Problem(f"study {position} of the file", "protocolSection",
                                    _kind(study), allowed))  # fmt: skip
            continue
        reading = _Reading(study, position)
        record = _record(reading)
        problems += reading.problems
        unknown.update(set(_unknown(study, KNOWN, "")))
        if record is None:
            continue
        if record.registry_id in places:
            text = f"once; it is study {places[record.registry_id]} of the file too"
            problems.append(Problem(record.registry_id, _NCT, record.registry_id, text))
        places.setdefault(record.registry_id, position)
        records.append(record)
    return Export(source, tuple(records), tuple(problems), dict(sorted(unknown.items())), more)


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no JSON")


def _nothing(source: str, value: str, allowed: str) -> Export:
    return Export(source, problems=(Problem(source, "", value, allowed),))


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false",
             int: "a number", float: "a number", type(None): "null"}  # fmt: skip
    return names.get(type(value), type(value).__name__)


def _unknown(data: Any, known: Any, path: str) -> list[str]:
    """Paths of pieces that are not known, through objects and lists of objects."""
    if known is None or known is ANYTHING:
        return []
    if isinstance(data, list):
        return [found for part in data for found in _unknown(part, known, path)]
    if not isinstance(data, dict):
        return []
    found: list[str] = []
    for key, value in data.items():
        here = f"{path}.{key}" if path else key
        found += _unknown(value, known[key], here) if key in known else [here]
    return found


_NCT = "protocolSection.identificationModule.nctId"


class _Reading:
    """One study as JSON, read piece by piece; what is wrong is collected."""

    def __init__(self, study: dict, position: int):
        self.study = study
        self.problems: list[Problem] = []
        number = self._find(_NCT.split("."))
        self.name = number if isinstance(number, str) and number else f"study {position}"

    def _find(self, path: list[str]) -> Any:
        at: Any = self.study
        for step in path:
            if not isinstance(at, dict):
                return None
            at = at.get(step)
        return at

    def wrong(self, field: str, value: Any, allowed: str) -> None:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        problem = Problem(self.name, field, text, allowed)
        if problem not in self.problems:
            self.problems.append(problem)

    def get(self, path: str, kind: type, allowed: str) -> Any:
        """The value at a path, None where it or a module on the way is missing."""
        at: Any = self.study
        steps = path.split(".")
        for depth, step in enumerate(steps):
            if not isinstance(at, dict):
                self.wrong(".".join(steps[:depth]), at, "an object")
                return None
            at = at.get(step)
            if at is None:
                return None
        if not isinstance(at, kind) or (kind is int and isinstance(at, bool)):
            self.wrong(path, at, allowed)
            return None
        return at

    def text(self, path: str) -> str:
        return " ".join((self.get(path, str, "text") or "").split())

    def word(self, path: str, words: Mapping[str, str] | tuple[str, ...]) -> str:
        """A word of the registry as it stands in `words`, "" where missing or unknown."""
        text = self.text(path)
        if text and text not in words:
            self.wrong(path, text, "one of " + ", ".join(words))
            return ""
        return words[text] if text and isinstance(words, Mapping) else text

    def date(self, path: str) -> str:
        text = self.text(path)
        if text and not re.fullmatch(r"(19|20)\d{2}-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?",
                                     text):  # fmt: skip
            self.wrong(path, text, "a date: 2024-05 or 2024-05-31")
            return ""
        return text

    def objects(self, path: str) -> list[dict]:
        found = self.get(path, list, "a list") or []
        for part in found:
            if not isinstance(part, dict):
                self.wrong(path, part, "a list of objects")
        return [part for part in found if isinstance(part, dict)]

    def texts(self, path: str, key: str) -> list[str]:
        """The texts under `key` of each object of a list, each once, in their order."""
        found = []
        for part in self.objects(path):
            value = part.get(key)
            if value is not None and not isinstance(value, str):
                self.wrong(f"{path}.{key}", value, "text")
            elif value and value.strip():
                found.append(" ".join(value.split()))
        return list(dict.fromkeys(found))


def _record(reading: _Reading) -> Record | None:
    """One study in the words of the table; None without a usable number."""
    number = reading.text(_NCT)
    if not re.fullmatch(REGISTRIES["ClinicalTrials.gov"], number):
        reading.wrong(_NCT, number, "NCT and eight digits")
        return None
    protocol = "protocolSection."
    cells: dict[str, str] = {"title": reading.text(protocol + "identificationModule.briefTitle")}
    for fill in (_numbers, _status, _dates, _size, _design, _people):
        cells |= fill(reading)
    has_results = reading.get("hasResults", bool, "true or false")
    if has_results is not None:
        cells["results"] = "posted" if has_results else "none_found"
    words = _condition_words(reading)
    cells["diabetes_type"] = diabetes_type(words)
    kind = reading.word(protocol + "designModule.studyType", STUDY_TYPES)
    return Record(
        number,
        {column: cell for column, cell in cells.items() if cell},
        "diabet" in words.lower() or cells["diabetes_type"] != "not_stated",
        kind != "EXPANDED_ACCESS",
        _seen_on(reading),
    )


def _seen_on(reading: _Reading) -> str:
    return reading.date("derivedSection.miscInfoModule.versionHolder") or reading.date(
        "protocolSection.statusModule.lastUpdatePostDateStruct.date"
    )


def _numbers(reading: _Reading) -> dict[str, str]:
    """Numbers of other registries, as the table writes them."""
    path = "protocolSection.identificationModule.secondaryIdInfos"
    found = []
    for part in reading.objects(path):
        number, kind = part.get("id"), part.get("type") or ""
        if not isinstance(number, str) or not isinstance(kind, str):
            reading.wrong(path, part, "id and type as text")
            continue
        number = re.sub(r"[/\s]+", "-", number.strip())
        if kind == "EUDRACT_NUMBER" and not number.startswith("EudraCT"):
            number = f"EudraCT-{number}"
        if kind == "CTIS" and not number.startswith("CTIS"):
            number = f"CTIS-{number}"
        if re.fullmatch(REGISTRY_ID, number):
            found.append(number)
    return {"other_ids": " ".join(dict.fromkeys(found))}


def _status(reading: _Reading) -> dict[str, str]:
    module = "protocolSection.statusModule."
    if reading.text("protocolSection.designModule.studyType") == "EXPANDED_ACCESS":
        return {}
    status = reading.word(module + "overallStatus", STATUSES)
    last = reading.word(module + "lastKnownStatus", STATUSES)
    cells = {"status": status, "status_basis": "registry" if status else ""}
    if status == "unknown" and last != "unknown":
        cells["last_known_status"] = last
    return cells


def _dates(reading: _Reading) -> dict[str, str]:
    """Dates; a primary completion without a kind is left out, for the table needs both."""
    module = "protocolSection.statusModule."
    cells = {
        "start": reading.date(module + "startDateStruct.date"),
        "study_completion": reading.date(module + "completionDateStruct.date"),
    }
    primary = reading.date(module + "primaryCompletionDateStruct.date")
    kind = reading.word(module + "primaryCompletionDateStruct.type", DATE_KINDS)
    if primary and kind:
        cells |= {"primary_completion": primary, "primary_completion_kind": kind}
    return cells


def _size(reading: _Reading) -> dict[str, str]:
    path = "protocolSection.designModule.enrollmentInfo"
    count = reading.get(path + ".count", int, "a whole number")
    if count is None:
        return {}
    if not 0 <= count <= 100_000:
        reading.wrong(path + ".count", count, "a whole number from 0 to 100000")
        return {}
    kind = reading.text(path + ".type")
    if kind and kind not in SIZE_COLUMNS:
        reading.wrong(path + ".type", kind, "one of " + ", ".join(SIZE_COLUMNS))
        return {}
    return {SIZE_COLUMNS[kind or "ESTIMATED"]: str(count)}


def _design(reading: _Reading) -> dict[str, str]:
    module = "protocolSection.designModule.designInfo."
    allocation = reading.word(module + "allocation", ALLOCATIONS)
    model = reading.word(module + "interventionModel", MODELS)
    masking = reading.word(module + "maskingInfo.masking", MASKINGS)
    arms = []
    path = "protocolSection.armsInterventionsModule.armGroups"
    for part in reading.objects(path):
        kind = part.get("type")
        if kind is not None and kind not in ARMS:
            reading.wrong(f"{path}.type", kind, "one of " + ", ".join(ARMS))
        arms.append(kind)
    return {"design": design(allocation, model, arms), "masked": masking or "not_stated"}


def design(allocation: str, model: str, arms: list[str | None]) -> str:
    """The design in the words of the table, from allocation, model and the kinds of the arms."""
    if model == "SINGLE_GROUP" or len(arms) == 1:
        return "single_arm"
    if any(kind in CONTROL_ARMS for kind in arms):
        by_allocation = {"RANDOMIZED": "rct", "NON_RANDOMIZED": "nonrandomised_controlled"}
        return by_allocation.get(allocation, "not_stated")
    return "two_treated_arms" if len(arms) > 1 else "not_stated"


def _people(reading: _Reading) -> dict[str, str]:
    protocol = "protocolSection."
    outcomes = []
    path = protocol + "outcomesModule.primaryOutcomes"
    for part in reading.objects(path):
        words = [part.get("measure"), part.get("timeFrame")]
        if any(word is not None and not isinstance(word, str) for word in words):
            reading.wrong(path, part, "measure and timeFrame as text")
            continue
        outcomes.append(", ".join(" ".join(word.split()) for word in words if word))
    locations = protocol + "contactsLocationsModule.locations"
    return {
        "primary_outcome": "; ".join(filter(None, outcomes)),
        "sponsor": reading.text(protocol + "sponsorCollaboratorsModule.leadSponsor.name"),
        "country": "; ".join(reading.texts(locations, "country")),
        "product": "; ".join(
            reading.texts(protocol + "armsInterventionsModule.interventions", "name")
        ),
    }


def _condition_words(reading: _Reading) -> str:
    found = []
    for path in ("conditionsModule.conditions", "conditionsModule.keywords"):
        for part in reading.get(f"protocolSection.{path}", list, "a list") or []:
            if isinstance(part, str):
                found.append(part)
            else:
                reading.wrong(f"protocolSection.{path}", part, "a list of texts")
    for path in ("briefTitle", "officialTitle"):
        found.append(reading.text(f"protocolSection.identificationModule.{path}"))
    return "; ".join(found)


def diabetes_type(words: str) -> str:
    """The type of diabetes that conditions, keywords and titles name: a word of the table."""
    text = words.lower()
    two = re.search(r"type[ -]*(2|ii)\b|\bt2dm?\b|non[ -]insulin[ -]dependent", text)
    one = re.search(r"type[ -]*(1|i)\b|\bt1dm?\b|(?<!non[ -])insulin[ -]dependent|juvenile", text)
    if one and two:
        return "both"
    return "T1D" if one else "T2D" if two else "not_stated"
