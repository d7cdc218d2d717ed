"""Figures: they show the numbers they were given, in the Axes they were given, with no text on other text."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from sklearn.model_selection import KFold

from course_lib import plots
from course_lib.evaluate import paired
from course_lib.splits import GroupKFold


@pytest.fixture(autouse=True)
def _close():
    plt.switch_backend("Agg")
    yield
    plt.close("all")


def values():
    y = np.random.default_rng(0).normal(350, 60, 80)
    return y, y + np.random.default_rng(1).normal(0, 25, 80)


def scores():
    rng = np.random.default_rng(0)
    names = ["mean", "ridge on molecular weight and atom counts", "LightGBM, 96 augmented rows a molecule"]
    return pd.DataFrame(
        [
            {"model": m, "repeat": r, "fold": f, "metric": k, "value": rng.normal(30 + 3 * i, 3)}
            for i, m in enumerate(names)
            for r in range(2)
            for f in range(5)
            for k in ("mae", "r2")
        ]
    ).assign(n_train=80, n_test=20)


def curve():
    return pd.DataFrame(
        [
            {"model": m, "n_train": n, "mean": 60 / n**0.3 + k, "low": 58 / n**0.3 + k, "high": 62 / n**0.3 + k}
            for k, m in enumerate(["mean", "ridge", "LightGBM"]) for n in (10, 20, 21, 25, 30, 50, 70, 100, 150, 223)
        ]
    )  # fmt: skip


GROUPS = np.repeat([f"M{i}" for i in range(12)], 10)
LABELS = np.repeat(["cross-validation", "test"], 40)
LONG = "20 splits of one data set, each with its own test molecules"
ROWS = KFold(5, shuffle=True, random_state=0)
FIGURES = {
    "parity": lambda ax: plots.parity(*values(), LABELS, units="K", quantity="glass transition", title="Trees", ax=ax),
    "score_distribution": lambda ax: plots.score_distribution(
        scores(), metric="mae", units="K", title=LONG, reference=20, ax=ax
    ),
    "learning_curve": lambda ax: plots.learning_curve(curve(), units="K", title="More molecules", ax=ax),
    "comparison": lambda ax: plots.comparison(
        paired(scores(), "mean"), units="K", title="Against the mean", margin=1, ax=ax
    ),
    "folds": lambda ax: plots.folds(GROUPS, ROWS, title="Rows", ax=ax),
}


def texts(figure: Figure) -> list[Text]:
    """All visible texts of a figure, with tick labels inside their axis only."""
    found = []
    for ax in figure.axes:
        x, y = sorted(ax.get_xlim()), sorted(ax.get_ylim())
        for label in ax.findobj(Text):
            if not label.get_visible() or not label.get_text().strip():
                continue
            if label in ax.get_xticklabels() and not x[0] - 1e-9 <= label.get_position()[0] <= x[1] + 1e-9:
                continue
            if label in ax.get_yticklabels() and not y[0] - 1e-9 <= label.get_position()[1] <= y[1] + 1e-9:
                continue
            found.append(label)
    return found


@pytest.mark.parametrize("name", FIGURES)
def test_draws_into_the_given_axes_with_title_and_labels(name):
    plt.close("all")  # what another test of the same process left open
    figure, (left, right) = plt.subplots(1, 2)
    assert FIGURES[name](right) is right
    assert right.get_title()
    assert right.get_xlabel()
    assert not left.has_data()
    assert plt.get_fignums() == [figure.number]


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_lies_on_other_text_or_is_cut_off(name):
    figure = FIGURES[name](None).figure
    figure.canvas.draw()
    boxes = [(label.get_text(), label.get_window_extent().padded(-0.5)) for label in texts(figure)]
    assert len(boxes) > 8
    for i, (text, box) in enumerate(boxes):
        assert box.x0 > -1, text
        assert box.y0 > -1, text
        assert box.x1 < figure.bbox.x1 + 1, text
        assert box.y1 < figure.bbox.y1 + 1, text
        for other, second in boxes[i + 1 :]:
            assert not box.overlaps(second), (text, other)


@pytest.mark.parametrize("name", [*FIGURES, "estimates", "search_history", "dots", "conformer_explorer"])
def test_legends_stand_outside_the_data(name):
    """At any position inside the axes a legend covers what some table would put there."""
    draws = FIGURES | {
        "estimates": lambda ax: plots.estimates(
            {"a": [1, 2], "b": [2, 3]}, {"a": [2, 2], "b": [3, 1]}, title="T", ax=ax
        ),
        "search_history": lambda ax: plots.search_history({"a": [3, 2], "b": [3, 4]}, start=3.5, title="T", ax=ax),
        "dots": lambda ax: plots.dots(pd.DataFrame({"a": [1, 2], "b": [2, 3]}), zero="nothing", title="T", ax=ax),
        "conformer_explorer": lambda ax: plots.conformer_explorer([None] * 3, [1, 2, 3], 3, quantity="q", ax=plt.gca()),
    }
    ax = draws[name](None)
    ax.figure.canvas.draw()
    legend = ax.get_legend()
    if legend is None:
        assert name in ("score_distribution", "comparison")
        return
    box, frame = legend.get_window_extent(), ax.get_window_extent()
    assert not box.padded(-0.5).overlaps(frame)
    assert not ax.title.get_text() or not box.padded(-0.5).overlaps(ax.title.get_window_extent())
    assert ax.figure.bbox.x1 >= box.x1


def test_the_overlap_test_can_fail():
    ax = FIGURES["learning_curve"](None)
    ax.set_xticks([20, 20.5], labels=["20", "20.5"])
    ax.figure.canvas.draw()
    boxes = [label.get_window_extent() for label in texts(ax.figure)]
    assert any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])


def test_colours_differ_for_the_colour_blind():
    """Under simulated deuteranopia and protanopia (Viénot et al. 1999) any two of the first six stay apart."""
    lms = np.array([[17.8824, 43.5161, 4.11935], [3.45565, 27.1554, 3.86714], [0.0299566, 0.184309, 1.46709]])
    blind = {"protan": (0, [0, 2.02344, -2.52581]), "deutan": (1, [0.494207, 0, 1.24827])}
    assert len(set(plots.COLOURS)) == len(plots.COLOURS) >= 8
    for row, mixture in blind.values():
        matrix = np.eye(3)
        matrix[row] = mixture
        seen = [np.linalg.solve(lms, matrix @ lms @ np.array(to_rgb(c)) ** 2.2) for c in plots.COLOURS[:6]]
        seen = [np.clip(c, 0, 1) ** (1 / 2.2) for c in seen]
        apart = min(np.linalg.norm(a - b) for i, a in enumerate(seen) for b in seen[i + 1 :])
        assert apart > 0.1


def test_parity_shows_the_points_and_the_error():
    y, p = values()
    label = np.repeat(["cross-validation", "test"], [30, 50])
    ax = plots.parity(y, p, label, units="K", quantity="glass transition")
    assert [len(points.get_offsets()) for points in ax.collections] == [30, 50]
    assert np.allclose(ax.collections[1].get_offsets(), np.column_stack([y[30:], p[30:]]))
    assert ax.get_xlim() == ax.get_ylim()
    ax.set(xlim=(0, 1000), ylim=(0, 1000))  # the line of perfect prediction reaches the corners of any limits
    line = ax.lines[0].get_window_extent()
    assert np.allclose([line.x0, line.y0, line.x1, line.y1], ax.bbox.extents, atol=0.01)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("measured glass transition (K)", "predicted glass transition (K)")
    error = np.abs(y[30:] - p[30:]).mean()
    assert ax.get_legend().get_texts()[1].get_text() == f"test (MAE {error:.3g} K)"
    assert plots.parity(y, p, errors=False).get_legend() is None
    with pytest.raises(ValueError, match="same length"):
        plots.parity(y, p[:-1])


def test_score_distribution_shows_every_score():
    table = scores()
    ax = plots.score_distribution(table, metric="r2")
    first = table.query("model == 'mean' and metric == 'r2'")["value"]
    assert np.allclose(ax.collections[0].get_offsets()[:, 0], first)
    assert ax.get_xlabel() == "r2"
    assert len(ax.collections) == 3
    assert len(plots.score_distribution({"a": [1, 2, 3]}).collections) == 1
    assert plots.score_distribution({"a": [0.5, 0.9], "b": [1, 1, 1]}).get_xlim()[1] > 1  # points beside the frame
    with pytest.raises(ValueError, match="choose one, metric='mae'"):
        plots.score_distribution(table)
    with pytest.raises(ValueError, match="no scores for metric 'rmse': there are mae, r2"):
        plots.score_distribution(table, metric="rmse")
    with pytest.raises(ValueError, match="no score to draw"):
        plots.score_distribution({"a": []})


def test_a_name_keeps_its_style_where_others_are_missing():
    both, one = curve(), curve().query("model != 'mean'")
    order = sorted(both["model"].unique(), key=lambda name: name != "mean")
    styles = [
        {line.get_label(): line.get_color() for line in plots.learning_curve(table, order=order).lines}
        for table in (both, one)
    ]
    assert styles[1].items() < styles[0].items()
    with pytest.raises(ValueError, match="is not in order: name all labels"):
        plots.learning_curve(both, order=order[1:])


def test_learning_curve_shows_means_and_bands():
    table = curve()
    ax = plots.learning_curve(table, units="K")
    assert len(ax.lines) == len(ax.collections) == 3
    assert np.allclose(ax.lines[2].get_ydata(), table.query("model == 'LightGBM'")["mean"])
    assert 21 not in ax.get_xticks()  # too close to 20
    assert {10, 20, 25, 223} <= set(ax.get_xticks())
    assert not plots.learning_curve(table.drop(columns=["low"])).collections
    assert plots.learning_curve(table[table["model"] == "mean"].drop(columns=["model"])).get_legend() is None
    with pytest.raises(ValueError, match="no column 'mean'"):
        plots.learning_curve(table.drop(columns=["mean"]))


def test_comparison_shows_differences_and_intervals():
    table = paired(scores(), "mean")
    ax = plots.comparison(table, units="K")
    assert "difference in mae to mean (K)" in ax.get_xlabel()
    assert "left of 0 is better" in ax.get_xlabel()
    ends = ax.collections[0].get_segments()[0][:, 0]
    assert np.allclose(ends, table.loc[0, ["low", "high"]].astype(float))
    assert "right of 0 is better" in plots.comparison(table, better="higher").get_xlabel()
    with pytest.raises(ValueError, match="choose 'lower', 'higher' or None"):
        plots.comparison(table, better="left")
    with pytest.raises(ValueError, match="no difference"):
        plots.comparison(table[:0])


def test_folds_counts_the_molecules_on_both_sides():
    cv = KFold(4, shuffle=True, random_state=0)
    expected = [str(len(set(GROUPS[train]) & set(GROUPS[test]))) for train, test in cv.split(GROUPS)]
    by_row = plots.folds(GROUPS, cv)
    assert [text.get_text() for text in by_row.texts] == expected
    assert "test, molecule also in training" in [text.get_text() for text in by_row.get_legend().get_texts()]
    by_molecule = plots.folds(GROUPS, GroupKFold(4))
    assert [text.get_text() for text in by_molecule.texts] == ["0"] * 4
    assert len(by_molecule.get_legend().get_texts()) == 2
    for k, (_, test) in enumerate(GroupKFold(4).split(GROUPS, groups=GROUPS)):
        assert np.flatnonzero(by_molecule.images[k].get_array()[0] == 1).tolist() == sorted(test)
    assert len(plots.folds(GROUPS, KFold(12), max_splits=3).texts) == 3
