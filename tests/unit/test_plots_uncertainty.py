"""Figures of uncertainty: they show the numbers they were given, beside a calibrated model, with no text on text."""

import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from scipy import stats
from scipy.special import expit, logit

from course_lib import evaluate
from course_lib import plots_uncertainty as plots


@pytest.fixture(autouse=True)
def _close():
    plt.switch_backend("Agg")
    yield
    plt.close("all")


RNG = np.random.default_rng(0)
MEAN, STD = RNG.normal(100, 30, 80), RNG.uniform(4, 15, 80)
Y = RNG.normal(MEAN, STD)
P = RNG.uniform(0.02, 0.98, 150)
OUTCOME = (RNG.random(150) < P).astype(int)
TOLD = expit(2.2 * logit(P))
X = np.linspace(-3, 3, 50)
DISTANCE, HIT = RNG.gamma(2, 0.2, 80), RNG.random(80) < 0.9
UNITS = {"quantity": "heat of sublimation", "units": "kJ/mol"}
CELLS = pd.DataFrame(
    [
        {"model": model, "feature": feature, "r2": 0.5 + 0.1 * i + 0.03 * j, "ama": 0.02 + 0.05 * j + 0.01 * i}
        for i, model in enumerate(["GP", "NGBoost", "BNN"])
        for j, feature in enumerate(["Morgan", "Mordred"])
    ]
)
FIGURES = {
    "calibration_curve": lambda ax: plots.calibration_curve(
        Y, {"GP on Mordred": (MEAN, STD), "NGBoost": (MEAN, STD / 2)}, title="Sublimation", ax=ax
    ),
    "calibration_curve, quantiles": lambda ax: plots.calibration_curve(
        Y, {"GP": (MEAN, STD)}, kind="quantile", title="Sublimation", ax=ax
    ),
    "reliability_diagram": lambda ax: plots.reliability_diagram(OUTCOME, TOLD, title="Flammable", ax=ax),
    "reliability_diagram, adaptive": lambda ax: plots.reliability_diagram(
        OUTCOME, TOLD, bins="adaptive", title="Flammable", ax=ax
    ),
    "predicted_observed": lambda ax: plots.predicted_observed(
        Y, MEAN, MEAN - 1.6 * STD, MEAN + 1.6 * STD, level=0.9, title="Gaussian process", ax=ax, **UNITS
    ),
    "performance_against_calibration": lambda ax: plots.performance_against_calibration(
        CELLS, mark="feature", perfect=(0.01, 0.06), title="Delaney, 112 test molecules", ax=ax
    ),
    "coverage_by_distance": lambda ax: plots.coverage_by_distance(
        DISTANCE, {"split": HIT, "normalised": ~HIT}, level=0.9, title="Near and far", ax=ax
    ),
    "variance_parts": lambda ax: plots.variance_parts(
        X, 0.1 + X**2, np.full(50, 0.3), noise=0.3, units="K", title="50 points", ax=ax
    ),
    "variance_parts, sizes": lambda ax: plots.variance_parts(
        [25, 50, 100, 200], [1, 0.6, 0.4, 0.2], [0.3] * 4, log=True, xlabel="molecules", title="More data", ax=ax
    ),
    "function_with_band": lambda ax: plots.function_with_band(
        X, np.sin(X), 0.5 + X**2, X**2, data=(X, X), truth=X, title="A GP on 50 points", ax=ax
    ),
}


def texts(figure) -> list[Text]:
    found = []
    for ax in figure.axes:
        x, y = sorted(ax.get_xlim()), sorted(ax.get_ylim())
        for label in ax.findobj(Text):
            outside = (label in ax.get_xticklabels() and not x[0] - 1e-9 <= label.get_position()[0] <= x[1] + 1e-9) or (
                label in ax.get_yticklabels() and not y[0] - 1e-9 <= label.get_position()[1] <= y[1] + 1e-9
            )
            if label.get_visible() and label.get_text().strip() and not outside:
                found.append(label)
    return found


def assert_readable(figure):
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


@pytest.mark.parametrize("name", FIGURES)
def test_draws_into_the_given_axes_with_title_and_labels(name):
    open_before = plt.get_fignums()  # other tests of the same process may have left some
    figure, (left, right) = plt.subplots(1, 2)
    assert FIGURES[name](right) is right
    assert right.get_title()
    assert right.get_xlabel()
    assert right.get_ylabel()
    assert not left.has_data()
    assert plt.get_fignums() == [*open_before, figure.number]


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_lies_on_other_text_or_is_cut_off_and_no_legend_on_data(name):
    ax = FIGURES[name](None)
    assert_readable(ax.figure)
    assert not ax.get_legend().get_window_extent().padded(-0.5).overlaps(ax.get_window_extent())


def test_calibration_curve_shows_curves_areas_and_the_binomial_band():
    ax = FIGURES["calibration_curve"](None)
    expected, observed = evaluate.calibration_curve(Y, MEAN, STD / 2)
    np.testing.assert_allclose(ax.lines[1].get_xydata()[1:-1], np.column_stack([expected, observed]))
    assert len({line.get_linestyle() for line in ax.lines[:2]}) == 2
    area = evaluate.miscalibration_area(Y, MEAN, STD / 2)
    assert ax.get_legend().get_texts()[1].get_text() == f"NGBoost (area {area:.3f})"
    band = ax.collections[0].get_paths()[0].vertices
    at = band[np.isclose(band[:, 0], 0.5)][:, 1]
    assert (at.min(), at.max()) == pytest.approx(np.array(stats.binom.interval(0.95, 80, 0.5)) / 80)
    with pytest.raises(ValueError, match="predictions is empty"):
        plots.calibration_curve(Y, {})
    with pytest.raises(ValueError, match="y_std is 0.0"):
        plots.calibration_curve(Y, {"GP": (MEAN, 0 * STD)})


def test_reliability_diagram_shows_points_counts_and_the_range_of_a_calibrated_model():
    ax = FIGURES["reliability_diagram"](None)
    predicted, observed, count = evaluate.reliability(OUTCOME, TOLD)
    np.testing.assert_allclose(ax.lines[1].get_xydata(), np.column_stack([predicted, observed]))
    assert [text.get_text() for text in ax.texts] == [str(n) for n in count]
    # a calibrated model's count in a bin is a sum of independent coins: nearly normal, and as wide as their variances
    place = np.clip((TOLD * 10).astype(int), 0, 9) == 0
    (low, high) = ax.collections[0].get_segments()[0][:, 1]
    spread = np.sqrt(np.sum(TOLD[place] * (1 - TOLD[place]))) / place.sum()
    assert high - low == pytest.approx(2 * 1.96 * spread, rel=0.3)
    assert low <= predicted[0] <= high


def test_predicted_observed_counts_the_misses():
    ax = FIGURES["predicted_observed"](None)
    inside = (np.abs(Y - MEAN) <= 1.6 * STD).sum()
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == [f"in the interval: {inside} of 80 (stated 90%)", f"outside: {80 - inside} of 80"]
    assert [len(c.get_offsets()) for c in ax.collections[1::2]] == [inside, 80 - inside]
    assert ax.get_ylabel() == "predicted heat of sublimation (kJ/mol)"
    with pytest.raises(ValueError, match="lists of one length"):
        plots.predicted_observed(Y, MEAN, MEAN, MEAN[:-1])


def test_predicted_observed_shows_all_intervals_on_shared_axes():
    panels = plt.subplots(1, 2, sharey=True)[1]
    for ax, scale in zip(panels, (6, 1), strict=True):  # the short intervals come last
        plots.predicted_observed(Y, MEAN, MEAN - scale * STD, MEAN + scale * STD, ax=ax)
    low, high = panels[0].get_ylim()
    assert low < (MEAN - 6 * STD).min()
    assert high > (MEAN + 6 * STD).max()


def test_performance_against_calibration_numbers_models_and_marks_features():
    ax = FIGURES["performance_against_calibration"](None)
    points = np.array([c.get_offsets()[0] for c in ax.collections])
    np.testing.assert_allclose(points, CELLS[["r2", "ama"]])
    assert [text.get_text() for text in ax.texts] == ["1", "1", "2", "2", "3", "3"]
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["calibrated model", "1  GP", "2  NGBoost", "3  BNN", "Morgan", "Mordred"]
    shapes = {tuple(map(tuple, c.get_paths()[0].vertices.round(3))) for c in ax.collections}
    assert len(shapes) == 2
    with pytest.raises(ValueError, match="no column 'auroc'"):
        plots.performance_against_calibration(CELLS, x="auroc")
    with pytest.raises(ValueError, match="no row"):
        plots.performance_against_calibration(CELLS[:0])


def test_coverage_by_distance_has_bins_of_equal_count():
    ax = plots.coverage_by_distance(np.arange(20), np.arange(20) < 15, level=0.9, n_bins=4)
    np.testing.assert_allclose(ax.lines[1].get_xydata(), [[2, 1], [7, 1], [12, 1], [17, 0]])
    low, high = np.array(stats.binom.interval(0.95, 5, 0.9)) / 5
    ends = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert (ends.min(), ends.max()) == pytest.approx((low, high))
    assert ax.get_legend().get_texts()[1].get_text() == "(all: 0.75)"
    assert max(ax.get_yticks()) == pytest.approx(1)  # no share is larger
    with pytest.raises(ValueError, match="n_bins is 30 for 20"):
        plots.coverage_by_distance(np.arange(20), np.ones(20), level=0.9, n_bins=30)


def test_variance_parts_stack_variances_and_say_what_a_model_lacks():
    ax = plots.variance_parts([2, 1], [3.0, 1.0], [2.0, 1.0], noise=1.5)
    tops = [c.get_paths()[0].vertices[:, 1].max() for c in ax.collections]
    assert tops == [4, 4 + 9]
    assert ax.lines[0].get_ydata()[0] == 1.5**2
    lacking = plots.variance_parts([1, 2], [np.nan, np.nan], [1.0, 1.0])
    assert "epistemic: the model has none" in [text.get_text() for text in lacking.get_legend().get_texts()]


def test_function_with_band_draws_two_standard_deviations():
    ax = plots.function_with_band(X, X, np.full(50, 2.0), np.full(50, 0.5))
    (outer, inner) = (c.get_paths()[0].vertices for c in ax.collections)
    assert (outer[:, 1] - outer[:, 0]).max() == pytest.approx(4)
    assert (inner[:, 1] - inner[:, 0]).max() == pytest.approx(1)
    assert len(plots.function_with_band(X, X, X**2 + 1, np.full(50, np.nan)).collections) == 1


def test_confidence_demo_multiplies_the_spreads_and_is_quick_enough_for_a_slider():
    axes = plots.confidence_demo(Y, MEAN, STD, 0.5, **UNITS)
    assert_readable(axes[0].figure)
    area = evaluate.miscalibration_area(Y, MEAN, STD / 2)
    assert f"{area:.3f}" in axes[1].get_legend().get_texts()[0].get_text()
    limits = axes[0].get_ylim()
    start = time.process_time()
    again = plots.confidence_demo(Y, MEAN, STD, 2.0, **UNITS)
    again[0].figure.canvas.draw()
    assert time.process_time() - start < 1.0
    assert again[0].get_ylim() == limits
    with pytest.raises(ValueError, match="scale is 0"):
        plots.confidence_demo(Y, MEAN, STD, 0)


def test_six_models_fit_on_one_calibration_curve():
    models = {f"model number {k} on Mordred descriptors": (MEAN, STD * k) for k in range(1, 7)}
    assert_readable(plots.calibration_curve(Y, models, title="Many").figure)
