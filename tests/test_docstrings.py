"""Public functions of the statistical rooms say what they take, give, refuse and rest on."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import analysis

ROOMS = ("analysis.exact", "analysis.effects", "analysis.models", "analysis.sensitivity")
CITED = re.compile(
    r"[A-ZÀ-Ž][a-zà-ž]+[^.\n]{0,40}\(?\b(19|20)\d\d\b|Cochrane Handbook|doi ?10|10\.\d{4}/"
)
"""A source: names with a year, a handbook, a DOI."""
SECTION = re.compile(r"^(\w+)\n-{3,}$", re.MULTILINE)
OBVIOUS = 1
"""So many arguments may be told in the sentence itself, by their names."""


def _public() -> Iterator[tuple[str, object]]:
    for room in ROOMS:
        package = importlib.import_module(room)
        for found in pkgutil.iter_modules(package.__path__, f"{room}."):
            module = importlib.import_module(found.name)
            for name, value in vars(module).items():
                own = getattr(value, "__module__", "") == found.name
                if not name.startswith("_") and own and inspect.isfunction(value):
                    yield f"{found.name}.{name}", value


FUNCTIONS = dict(_public())


def sections(function) -> set[str]:
    """The numpydoc sections of a docstring."""
    return set(SECTION.findall(inspect.getdoc(function) or ""))


def named(function) -> list[str]:
    """The arguments of a function, without *args and **kwargs."""
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in inspect.signature(function).parameters.values() if p.kind not in kinds]


def raised(function) -> set[str]:
    """The exceptions that the function's own lines raise."""
    return set(re.findall(r"^\s+raise (\w+)\(", inspect.getsource(function), re.MULTILINE))


def test_there_are_functions_to_look_at():
    assert len(FUNCTIONS) > 80


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_public_function_tells_its_arguments(name):
    function = FUNCTIONS[name]
    doc = inspect.getdoc(function) or ""
    assert doc, "no docstring"
    arguments = named(function)
    if len(arguments) > OBVIOUS:
        assert "Parameters" in sections(function), "no section Parameters"
        untold = [a for a in arguments if not re.search(rf"\b{re.escape(a)}\b", doc)]
        assert not untold, f"arguments not told: {', '.join(untold)}"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_public_function_tells_what_it_raises(name):
    function = FUNCTIONS[name]
    doc = inspect.getdoc(function) or ""
    assert [e for e in sorted(raised(function)) if e not in doc] == []
    if raised(function):
        assert "Raises" in doc, "what it raises stands in a section or a sentence `Raises ...`"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_public_function_that_cites_a_source_gives_it_in_full(name):
    function = FUNCTIONS[name]
    doc = inspect.getdoc(function) or ""
    if CITED.search(doc):
        assert "References" in sections(function), CITED.search(doc).group(0)


def test_every_conversion_rests_on_a_source():
    from analysis.effects import conversions

    exact = {"sd_from_se", "change_variance", "z_from_p", "t_quantile"}
    """Identities that follow from definitions."""
    for name, function in FUNCTIONS.items():
        if name.startswith(conversions.__name__) and name.rpartition(".")[2] not in exact:
            assert "References" in sections(function), name


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_that_gives_several_things_tells_them_apart(name):
    function = FUNCTIONS[name]
    doc = inspect.getdoc(function) or ""
    if str(inspect.signature(function).return_annotation).startswith("tuple["):
        assert "Returns" in doc or doc.startswith("(")


def test_the_package_says_that_it_is_typed():
    assert (Path(analysis.__file__).parent / "py.typed").exists()
