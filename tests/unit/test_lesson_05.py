"""The figure of lesson 05, and the facts about calibration that its text rests on."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.stats import binom, norm

from course_lib import plots_uncertainty
from course_lib.evaluate import IsotonicCDF, miscalibration_area, perfect_reference


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def test_scores_beside_perfect_draws_a_panel_a_score_and_a_line_a_model():
    simulated = np.linspace(0, 1, 101)
    scores = {"good": {"area": 0.5, "CRPS": 0.2}, "bad": {"area": 2.0, "CRPS": 0.3}}
    perfect = {model: {"area": simulated, "CRPS": simulated + 1} for model in scores}
    axes = plots_uncertainty.scores_beside_perfect(scores, perfect)
    assert [ax.get_title() for ax in axes] == ["area", "CRPS"]
    marks = [c.get_offsets()[0].tolist() for c in axes[0].collections]
    assert marks == [[0.5, 0.0], [2.0, 1.0]]
    bars = [(bar.get_x(), bar.get_width()) for bar in axes[1].patches]
    assert np.allclose(bars, [(1.05, 0.9), (1.05, 0.9)])


def test_a_model_that_knows_nothing_passes_for_calibrated_and_its_crps_does_not():
    rng = np.random.default_rng(0)
    signal = rng.normal(size=2000)
    y = signal + rng.normal(scale=0.5, size=2000)
    nothing = np.zeros(2000), np.full(2000, y.std())
    limit = np.quantile(perfect_reference(miscalibration_area, n=2000), 0.99)
    assert miscalibration_area(y, *nothing) < limit
    assert miscalibration_area(y, signal, np.full(2000, 0.5)) < limit


def conformal_quantile(errors, level):
    n = len(errors)
    place = int(np.ceil(round((n + 1) * level, 9)))
    return np.sort(errors)[place - 1] if place <= n else np.inf


@pytest.mark.parametrize(("n", "expected"), [(19, 19 / 20), (20, 20 / 21), (99, 95 / 100)])
def test_split_conformal_holds_its_level_on_average(n, expected):
    rng = np.random.default_rng(1)
    bounds = [conformal_quantile(np.abs(rng.normal(size=n)), 0.95) for _ in range(8000)]
    true = 2 * norm.cdf(bounds) - 1
    assert true.mean() == pytest.approx(expected, abs=4 * true.std() / np.sqrt(len(true)))


def test_rows_of_one_molecule_take_the_promise_away():
    """Ten molecules, any number of rows: ten elevenths on average, and not 95 %."""
    rng = np.random.default_rng(2)
    bounds = [conformal_quantile(np.repeat(np.abs(rng.normal(size=10)), 20), 0.95) for _ in range(8000)]
    true = 2 * norm.cdf(bounds) - 1
    assert true.mean() == pytest.approx(10 / 11, abs=4 * true.std() / np.sqrt(len(true)))
    assert np.isinf(conformal_quantile(np.arange(10.0), 0.95))


def test_a_curve_fitted_on_the_test_beats_a_perfect_model():
    """Colleague B: on the rows that the isotonic curve was fitted on the area is smaller than perfection allows."""
    rng = np.random.default_rng(3)
    y, levels = 3 * rng.normal(size=50), np.arange(1, 100) / 100
    below = IsotonicCDF().fit(y, np.zeros(50), np.ones(50)).cdf(y, np.zeros(50), np.ones(50))
    observed = np.array([np.mean(np.abs(2 * below - 1) <= level) for level in levels])
    reported = np.trapezoid(np.r_[0, np.abs(observed - levels), 0], np.r_[0, levels, 1])
    assert reported < np.quantile(perfect_reference(miscalibration_area, n=50), 0.05)


def test_the_range_of_a_perfect_models_coverage_is_the_binomial_one():
    low, high = binom.interval(0.9, 112, 0.95)
    given = perfect_reference(lambda y, m, s: np.sum(np.abs(y - m) <= 1.96 * s), n=112)
    assert np.quantile(given, [0.05, 0.95]) == pytest.approx([low, high], abs=1)
