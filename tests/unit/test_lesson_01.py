"""Lesson 01: its figures, and the facts about LightGBM that its text and exercise 1.1 rest on."""

from __future__ import annotations

import numpy as np
import pytest

from course_lib import plots
from course_lib.models import LightGBMRegressor


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def table(n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 30))
    return X, 3 * X[:, 0] + rng.normal(size=n)


def most_leaves(n: int, **settings: float) -> int:
    X, y = table(n)
    booster = LightGBMRegressor(**settings).fit(X, y).booster_
    return max(tree["num_leaves"] for tree in booster.dump_model()["tree_info"])


def test_as_it_comes_lightgbm_is_the_mean_of_forty_molecules():
    X, y = table(40)
    assert np.allclose(LightGBMRegressor().fit(X, y).predict(X), y.mean())


@pytest.mark.parametrize(("n", "leaves"), [(25, 1), (40, 1), (50, 2), (60, 2)])
def test_a_cut_needs_twenty_molecules_on_either_side(n, leaves):
    assert most_leaves(n) == leaves


def test_leaves_of_three_cut_forty_molecules():
    assert most_leaves(40, min_child_samples=3) > 4


def test_named_values_names_the_shortest_of_each_part_inside_the_axes():
    values = np.arange(100.0)
    names = np.array([f"poly(something long {k})" for k in range(100)], dtype=object)
    short = {5: "a", 35: "b", 65: "c", 95: "d"}
    for place, name in short.items():
        names[place] = name
    ax = plots.named_values(values, names, n_named=4, units="K", quantity="Tg")
    assert [text.get_text() for text in ax.texts] == list(short.values())
    assert ax.get_ylabel() == "Tg (K)"
    ax.figure.canvas.draw()
    frame = ax.get_window_extent()
    for text in ax.texts:
        box = text.get_window_extent()
        assert frame.x0 < box.x0 < box.x1 < frame.x1
        assert frame.y0 < box.y0 < box.y1 < frame.y1


def test_named_values_wants_one_name_a_value():
    with pytest.raises(ValueError, match="one length"):
        plots.named_values([1.0, 2.0], ["a"])


def test_estimates_draws_promised_against_measured():
    ax = plots.estimates({"one": [10.0, 14.0]}, {"one": [12.0, 11.0]}, units="K", tolerance=0.2)
    assert ax.collections[0].get_offsets().data.tolist() == [[12.0, 10.0], [11.0, 14.0]]
    assert ax.get_xlim() == ax.get_ylim()
    assert {text.get_text() for text in ax.get_legend().get_texts()} >= {"one", "within 20 %"}


@pytest.mark.parametrize(
    ("estimated", "measured", "says"),
    [({"one": [1.0]}, {"two": [1.0]}, "measured has two"), ({"one": [1.0]}, {"one": [1.0, 2.0]}, "one: ")],
)
def test_estimates_names_what_does_not_fit(estimated, measured, says):
    with pytest.raises(ValueError, match=says):
        plots.estimates(estimated, measured)
