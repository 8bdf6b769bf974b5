"""What the docstrings of public classes and functions say of parameters and attributes is what
there is.
"""

import ast
import doctest
import inspect
import re
from pathlib import Path

import numpy as np
import pytest

import fastgd
from fastgd import (
    GDClassifier,
    GDClassifierCV,
    GDRegressor,
    GDRegressorCV,
    Loss,
    Objective,
    Penalty,
    Rule,
    StoppingRule,
    VectorLoss,
)

ROWS = np.random.default_rng(0).standard_normal((20, 2))


def section(doc, title):
    """(names, rest of the line) of each entry of a numpydoc section."""
    found = re.search(
        rf"^{title}\n-+\n(.*?)(?=^\S[^\n]*\n-+$|\Z)",
        inspect.cleandoc(doc),
        re.DOTALL | re.MULTILINE,
    )
    lines = found[1].splitlines() if found else []
    entries = [line.partition(" : ") for line in lines if line and not line.startswith(" ")]
    return [([name.strip("*,") for name in names.split(", ")], rest) for names, _, rest in entries]


def public():
    for name in fastgd.__all__:
        found = getattr(fastgd, name)
        if inspect.isclass(found):
            own = [
                one
                for key, one in vars(found).items()
                if inspect.isfunction(one) and not key.startswith("_")
            ]
            yield from [found, *own]
        elif callable(found):
            yield found


DOCUMENTED = [one for one in public() if section(one.__doc__ or "", "Parameters")]


def test_there_are_such_sections():
    assert {GDClassifier, GDRegressor, GDClassifierCV, GDRegressorCV, fastgd.Objective} <= set(
        DOCUMENTED
    )


def test_classes_tell_their_parameters_attributes_and_examples():
    components = Loss, VectorLoss, Penalty, Rule
    for cls in filter(inspect.isclass, public()):
        families = [one for one in components if issubclass(cls, one)]
        asked = ["Attributes", "Examples"] if cls in (*components, StoppingRule, Objective) else []
        if cls is Objective or (families and inspect.signature(cls).parameters):
            asked += ["Parameters", "Examples"]
        for title in asked:
            assert f"\n{title}\n---" in inspect.cleandoc(cls.__doc__), (cls, title)


def test_methods_tell_their_parameters():
    """Of an objective those of a point, of a family those that each class has to write."""
    of_points = [
        one
        for one in vars(Objective).values()
        if inspect.isfunction(one) and "v" in inspect.signature(one).parameters
    ]
    written = [
        one
        for family in (Loss, VectorLoss, Penalty, Rule)
        for one in vars(family).values()
        if getattr(one, "required", False)
    ]
    for method in (*of_points, *written, StoppingRule.check):
        if not method.__name__.startswith("_"):
            assert section(method.__doc__, "Parameters"), method
            assert "out" in inspect.signature(method).parameters or "\nReturns\n---" in (
                inspect.cleandoc(method.__doc__)
            ), method


@pytest.mark.parametrize("documented", DOCUMENTED, ids=lambda one: one.__qualname__)
def test_parameters(documented):
    entries = section(documented.__doc__, "Parameters")
    parameters = {
        name: one
        for name, one in inspect.signature(documented).parameters.items()
        if name != "self"
    }
    told = [name for names, _ in entries for name in names]
    assert sorted(told) == sorted(parameters)
    for names, rest in entries:
        if "default=" in rest:
            values = ast.literal_eval(f"[{rest.partition('default=')[2]}]")
            assert [parameters[name].default for name in names] == values


@pytest.mark.parametrize("estimator", [GDClassifier, GDRegressor, fastgd.Objective])
def test_defaults_are_told(estimator):
    told = {
        name: rest for names, rest in section(estimator.__doc__, "Parameters") for name in names
    }
    for name, parameter in inspect.signature(estimator).parameters.items():
        if parameter.default is not parameter.empty:
            words = "default=|optional|None" if parameter.default is None else "default="
            assert re.search(words, told[name]), name


def test_examples_of_public_classes_are_found():
    """They say that they are of `fastgd`, so that doctest passes over them in their own files."""
    classes = [one for one in public() if inspect.isclass(one)]
    found = {one.name for one in doctest.DocTestFinder().find(fastgd) if one.examples}
    shown = {f"fastgd.{cls.__name__}" for cls in classes if ">>>" in cls.__doc__}
    assert "fastgd.GDClassifier" in shown
    assert shown <= found


@pytest.mark.parametrize("name", fastgd.__all__)
def test_public_names_have_an_example(name):
    found = getattr(fastgd, name)
    if inspect.isclass(found) or inspect.isfunction(found):
        assert ">>>" in found.__doc__


def test_docstrings_say_something():
    """One or two words tell nobody what is returned."""
    root = Path(fastgd.__file__).parent
    for path in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                doc = ast.get_docstring(node)
                assert doc is None or len(doc.split()) >= 4, f"{path}:{node.lineno}: {doc}"


@pytest.mark.parametrize("theirs", [GDClassifierCV, GDRegressorCV])
def test_a_search_has_the_defaults_of_its_estimator(theirs):
    searched = inspect.signature(theirs).parameters
    alone = inspect.signature(GDClassifier if theirs is GDClassifierCV else GDRegressor).parameters
    # A search has no partial_fit that could forget, and takes no checkpoints.
    of_one_fit = {"alpha", "forget", "checkpoint", "checkpoint_every", "record"}
    assert set(alone) - set(searched) == of_one_fit
    assert all(searched[name].default == alone[name].default for name in alone.keys() - of_one_fit)


@pytest.mark.parametrize(
    "estimator", [GDClassifier(), GDRegressor(), GDClassifierCV(cv=2), GDRegressorCV(cv=2)]
)
def test_attributes(estimator):
    y = (ROWS[:, 0] > 0).astype(int)
    told = {name for names, _ in section(type(estimator).__doc__, "Attributes") for name in names}
    there = {
        name
        for name in vars(estimator.fit(ROWS, y))
        if name.endswith("_") and not name.startswith("_")
    }
    # What comes with frames, with partial_fit alone, and where it is recorded.
    others = {"feature_names_in_", "class_count_", "best_validation_score_"}
    assert there <= told <= there | others | {"coef_path_", "intercept_path_"}
