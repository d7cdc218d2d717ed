"""The figures of lesson 03, and the two facts about LightGBM that its text rests on."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.tree import DecisionTreeRegressor

from course_lib import plots
from course_lib.models import LightGBMRegressor


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def numbers_at_the_right(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_folds_of_molecules_share_none_and_folds_of_rows_share_some():
    assert set(numbers_at_the_right(plots.fold_viewer("molecules"))) == {"0"}
    assert all(int(number) > 0 for number in numbers_at_the_right(plots.fold_viewer("rows")))


def test_fold_viewer_refuses_another_split():
    with pytest.raises(ValueError, match="'rows' or 'molecules'"):
        plots.fold_viewer("scaffolds")


def test_dots_draws_one_mark_a_number_and_highlights_a_column():
    table = pd.DataFrame({"one set": [1.0, np.nan], "today": [2.0, 3.0]}, index=["an arm", "another"])
    ax = plots.dots(table, highlight="today", zero="the control", band=(-5, 5))
    marks = {c.get_label(): np.ma.count(c.get_offsets()[:, 0]) for c in ax.collections if c.get_label() in table}
    assert marks == {"one set": 1, "today": 2}
    assert [label.get_text() for label in ax.get_yticklabels()] == ["an arm", "another"]


def test_dots_refuses_an_empty_table():
    with pytest.raises(ValueError, match="nothing to draw"):
        plots.dots(pd.DataFrame({"one set": [np.nan]}, index=["an arm"]))


def test_search_history_draws_the_smallest_so_far():
    ax = plots.search_history({"random search": [5.0, 3.0, 4.0, 2.0]}, start=4.5)
    assert list(ax.lines[0].get_ydata()) == [5.0, 3.0, 3.0, 2.0]


def test_boosting_steps_shows_what_is_left():
    x, y = np.array([0.0, 1.0, 2.0, 3.0]), np.array([1.0, 1.0, 3.0, 3.0])
    axes = plots.boosting_steps(x, y, {1: lambda at: np.full(len(at), 2.0), 2: lambda at: np.where(at < 1.5, 1.0, 3.0)})
    assert [ax.get_title() for ax in axes[0]] == ["1 tree", "2 trees"]
    assert [ax.get_title().strip() for ax in axes[1]] == ["mean size 1", "mean size 0"]


def test_tree_steps_marks_the_cuts():
    axes = plots.tree_steps([0.0, 1.0], [0.0, 1.0], {"a tree": lambda at: (at > 0.3).astype(float) + (at > 0.6)})
    cuts = [line.get_xdata()[0] for line in axes[0].lines if line.get_linestyle() == ":"]
    assert cuts == pytest.approx([0.3, 0.6], abs=1e-3)


def test_limits_divided_by_k_are_rows_copied_k_times():
    """Exercise 3.1: exact as long as no rows are drawn and every bin holds its three rows."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 6, size=(72, 5)).astype(float)
    y = x[:, 0] * x[:, 1] + rng.normal(size=72)
    k, plain = 10, {"n_estimators": 30, "subsample": 1.0, "colsample_bytree": 1.0}
    copied = LightGBMRegressor(**plain).fit(np.repeat(x, k, axis=0), np.repeat(y, k)).predict(x)
    relaxed = LightGBMRegressor(**plain, min_child_samples=20 // k, reg_alpha=0.8 / k, reg_lambda=0.2 / k)
    assert np.allclose(relaxed.fit(x, y).predict(x), copied)
    assert not np.allclose(LightGBMRegressor(**plain).fit(x, y).predict(x), copied, atol=0.1)


def test_boosting_by_hand_gives_lightgbms_trees_when_rows_stand_three_times():
    rng = np.random.default_rng(1)
    x = np.round(rng.uniform(size=(60, 1)), 2)
    y = np.where(x[:, 0] < 0.4, 400.0, 250.0) + rng.normal(scale=20, size=60)
    by_hand = np.full(60, y.mean())
    for _ in range(10):
        tree = DecisionTreeRegressor(max_leaf_nodes=4, min_samples_leaf=5, random_state=0).fit(x, y - by_hand)
        by_hand = by_hand + 0.3 * tree.predict(x)
    same = {"n_estimators": 10, "num_leaves": 4, "learning_rate": 0.3, "min_child_samples": 15}
    free = {"subsample": 1.0, "colsample_bytree": 1.0, "reg_alpha": 0.0, "reg_lambda": 0.0}
    model = LightGBMRegressor(**same, **free).fit(np.repeat(x, 3, axis=0), np.repeat(y, 3))
    assert np.abs(model.predict(x) - by_hand).max() < 0.01
