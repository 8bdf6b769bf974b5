"""Random problems, which are the same each time."""

import json
from collections import Counter
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from bench import (
    certify,
    concave_problems,
    exact,
    hard_problems,
    joint_problems,
    same_problems,
    stationary,
    structures,
)
from fastgd import Loss, Objective, SquaredError
from fastgd.certificates import estimates
from fastgd.runtime.fingerprint import is_ours


def test_random_problems_are_the_same_each_time():
    for index in (0, 9, 50, 130):
        one, two = (same_problems.one_random(1, index).request() for _ in range(2))
        assert one["parameters"] == two["parameters"]
        assert abs(one["X"] - two["X"]).max() == 0.0
        np.testing.assert_array_equal(one["y"], two["y"])


def test_hard_problems_are_the_same_each_time(tmp_path):
    assert set(hard_problems.losses()) >= set(Loss.members()) - {"perceptron"} - {*_own_losses()}
    for index in range(0, 100, 7):
        one, two = (hard_problems.make(4, index) for _ in range(2))
        assert one.print_of_data() == two.print_of_data()
        assert hard_problems.settings(one) == hard_problems.settings(two)
        assert one.describe() == two.describe()
        one.save(tmp_path / "one.npz")
        read = hard_problems.load(
            tmp_path / "one.npz", json.loads(json.dumps(one.describe())), 4, index
        )
        assert read.print_of_data() == one.print_of_data()
        assert (read.describe(), read.X.dtype) == (one.describe(), one.X.dtype)
        assert one.X.shape[0] == one.y.size
        assert one.stored <= hard_problems.MAX_VALUES
    assert one.print_of_data() != hard_problems.make(5, index).print_of_data()


def _own_losses():
    """Losses that tests have made."""
    return {name for name, one in Loss.members().items() if not is_ours(one)}


def test_problems_of_several_predictions_are_the_same_each_time(tmp_path):
    numbers = list(islice(certify.order(), 200))
    first, concave = joint_problems.FIRST, concave_problems.FIRST
    assert [one for one in numbers if one < first] == list(range(168))
    assert [one - first for one in numbers if first <= one < concave] == list(range(24))
    assert [one - concave for one in numbers if one >= concave] == list(range(8))
    seen = set()
    for index in range(first, first + 40, 7):
        one, two = (certify.problem_of(4, index) for _ in range(2))
        assert one.print_of_data() == two.print_of_data()
        assert (one.describe(), one.X.shape[0]) == (two.describe(), len(one.y))
        one.save(tmp_path / "one.npz")
        told = json.loads(json.dumps(one.describe()))
        read = hard_problems.load(tmp_path / "one.npz", told, 4, index)
        assert (read.print_of_data(), read.describe()) == (one.print_of_data(), one.describe())
        seen.add(one.loss.name == "multinomial")
        if one.loss.name == "multinomial":
            assert (np.bincount(one.y.astype(int), one.weights) > 0.0).all()
    assert seen == {True, False}


def test_problems_with_mcp_and_scad(tmp_path):
    """They are the same each time, F is the package's, and so is the claim of how far from
    stationary a model is.
    """
    rng, seen = np.random.default_rng(0), Counter()
    for index in range(concave_problems.FIRST, concave_problems.FIRST + 400, 9):
        one, two = (certify.problem_of(4, index) for _ in range(2))
        assert (one.print_of_data(), one.describe()) == (two.print_of_data(), two.describe())
        if one.stored > 2000 or one.storage == "float32" or seen[one.structure["concave"]] > 1:
            continue
        one.save(tmp_path / "one.npz")
        told = json.loads(json.dumps(one.describe()))
        read = hard_problems.load(tmp_path / "one.npz", told, 4, index)
        assert (read.print_of_data(), read.describe()) == (one.print_of_data(), one.describe())
        one = replace(one, loss=SquaredError(), y=rng.normal(size=len(one.y)), fit_intercept=False)
        coef = rng.normal(size=one.X.shape[1]) * one.alpha * (rng.random(one.X.shape[1]) < 0.7)
        penalty = structures.parameters(one.structure, None, 0.0)["penalty"]
        F = Objective(
            one.loss,
            *(one.X, one.y),
            penalty=penalty,
            alpha=one.alpha,
            sample_weight=one.sample_weight,
            offset=one.offset,
            fit_intercept=False,
        )
        assert exact.value(one, coef, 0.0).high == pytest.approx(F.value(coef), rel=1e-12)
        fall = estimates.fall_along_columns(F, coef, F.smooth_and_gradient(coef)[1])
        assert stationary.least_fall(one, coef, 0.0) == pytest.approx(fall, rel=1e-6)
        seen[one.structure["concave"]] += 1
    assert set(seen) == {"mcp", "scad"}
