"""Lesson 04: its figure, and the facts that its text and exercises rest on."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import BayesianRidge

from course_lib import plots_uncertainty
from course_lib.datasets import load
from course_lib.featurize import morgan
from course_lib.models import BootstrapEnsemble, GPRegressor, LightGBMRegressor
from course_lib.teaching.exercises.lesson_04 import best_limit, gain

SD = 0.3


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def f(x):
    return np.sin(1.5 * x) + 0.3 * x


def measure(n, seed, gap=0.0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-3, 3, size=20 * n)
    x = x[np.abs(x - 1.4) >= gap / 2][:n]
    return x[:, None], f(x) + rng.normal(scale=SD, size=n)


def test_the_law_of_total_variance_is_exact():
    rng = np.random.default_rng(0)
    means, spread = rng.normal(size=7), rng.uniform(0.5, 2, size=7)
    symmetric = np.concatenate([means + spread, means - spread])  # each member says mean +- spread, one half each
    assert symmetric.var() == pytest.approx(means.var() + (spread**2).mean())


def test_a_gap_opens_the_doubt_of_a_gaussian_process_and_hardly_that_of_trees():
    x, y = measure(60, 0, gap=2.0)
    places = np.array([[-1.0], [1.4]])
    process = GPRegressor("rbf", n_restarts=0).fit(x, y).predict_parts(places)["epistemic"]
    trees = BootstrapEnsemble(LightGBMRegressor(min_child_samples=3)).fit(x, y).predict_parts(places)["epistemic"]
    assert process[1] > 3 * process[0]
    assert trees[1] < 0.5 * process[1]


def test_more_data_make_a_straight_line_surer_and_no_better():
    grid = np.linspace(-3, 3, 50)
    epistemic, off, noise = {}, {}, {}
    for n in (25, 400):
        line = BayesianRidge().fit(*measure(n, 1))
        mean, std = line.predict(grid[:, None], return_std=True)
        epistemic[n] = np.sqrt(np.mean(std**2) - 1 / line.alpha_)
        off[n], noise[n] = np.sqrt(np.mean((mean - f(grid)) ** 2)), 1 / np.sqrt(line.alpha_)
    assert epistemic[400] < 0.4 * epistemic[25]
    assert off[400] > 0.8 * off[25]
    assert min(noise.values()) > 2 * SD


def test_bits_do_not_count():
    twelve, twenty_two = ("C" * n + "O" for n in (12, 22))
    bits = morgan([twelve, twenty_two]).to_numpy()
    assert (bits[0] == bits[1]).all()


def test_label_noise_bounds_the_score_of_the_true_function():
    rng = np.random.default_rng(0)
    true = rng.normal(scale=2.0, size=200_000)
    labels = true + rng.normal(scale=1.0, size=true.size)
    r2 = 1 - np.mean((labels - true) ** 2) / labels.var()
    assert r2 == pytest.approx(1 - 1.0 / labels.var(), abs=0.005)


def test_a_limit_chosen_and_judged_on_the_same_errors_gains_from_nothing():
    rng = np.random.default_rng(0)
    leaked, honest = [], []
    for _ in range(300):
        distance, error = rng.uniform(size=60), np.abs(rng.normal(size=60))
        limit = best_limit(distance, error)
        leaked.append(gain(distance, error, limit))
        here, there = slice(None, None, 2), slice(1, None, 2)
        honest.append(gain(distance[there], error[there], best_limit(distance[here], error[here])))
    assert min(leaked) >= 0
    assert np.mean(leaked) > 0.1
    assert abs(np.mean(honest)) < 3 * np.std(honest) / np.sqrt(300)


def test_most_rows_of_sublimation_state_an_error_and_two_sources_are_largely_one():
    stated = load("sublimation").frame["stated_error"]
    assert 0.5 < stated.notna().mean() < 1
    octane = load("octane").frame[["florian_liming", "combustdb"]].dropna()
    assert (octane["florian_liming"] == octane["combustdb"]).mean() > 0.5


def test_error_by_distance_joins_root_mean_squares_of_equal_groups():
    distance, error = np.linspace(0, 1, 10), np.r_[np.full(5, 1.0), np.full(5, 3.0)]
    ax = plots_uncertainty.error_by_distance(distance, error, 2 * error, limit=0.8, n_bins=2, units="K")
    measured, promised, limit = ax.lines
    assert measured.get_ydata() == pytest.approx([1.0, 3.0])
    assert promised.get_ydata() == pytest.approx([2.0, 6.0])
    assert measured.get_xdata() == pytest.approx([np.median(distance[:5]), np.median(distance[5:])])
    assert limit.get_xdata()[0] == 0.8
    assert ax.get_ylabel() == "absolute error (K)"


def test_error_by_distance_refuses_more_groups_than_molecules():
    with pytest.raises(ValueError, match="give 1 to 2"):
        plots_uncertainty.error_by_distance([0.1, 0.2], [1, 2], [1, 2], n_bins=3)
