"""The facts that the text of lesson 07 rests on."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.cross_decomposition import PLSRegression

from course_lib.acquire import campaign, expected_improvement, probability_of_improvement
from course_lib.evaluate import t_interval


def test_the_quiz_states_the_right_numbers():
    assert expected_improvement([10.0], [0.0], 10)[0] == 0
    assert expected_improvement([9.0], [3.0], 10)[0] == pytest.approx(0.75, abs=0.02)
    assert probability_of_improvement([9.0], [3.0], 10)[0] == pytest.approx(1 - norm.cdf(1 / 3))
    assert probability_of_improvement([9.0], [3.0], 10)[0] > 1 / 3


def test_who_measures_a_tenth_by_chance_finds_a_tenth_of_the_hits():
    y = np.random.default_rng(0).normal(size=300)
    X, sizes = np.zeros((300, 1)), {"n_init": 20, "budget": 28, "batch_size": 28, "acquisition": "random"}
    found = [
        campaign(None, X, y, **sizes, random_state=seed).hit_fraction(count_start=False)[-1] for seed in range(300)
    ]
    interval = t_interval(found, level=0.999)
    assert 0.1 * 280 / 300 in interval  # the hits of the start are not there to be found


def test_the_largest_of_many_noisy_values_is_a_lucky_one():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(2000, 60))
    noise = rng.normal(size=truth.shape) / 3
    luck = np.take_along_axis(noise, (truth + noise).argmax(axis=1)[:, None], axis=1)
    assert t_interval(luck[:, 0]).low > 0
    assert t_interval(noise[:, 0]).low < 0 < t_interval(noise[:, 0]).high


def test_scores_of_a_model_of_the_whole_store_know_what_nobody_has_measured():
    """Nothing links these descriptors to these values: honest scores find nothing, colleague B's find hits."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 80)), rng.normal(size=200)
    first = rng.permutation(200)[:20]
    unseen = np.setdiff1d(np.arange(200), first)
    known = {
        name: np.corrcoef(PLSRegression(n_components=3).fit(X[rows], y[rows]).predict(X[unseen]).ravel(), y[unseen])[
            0, 1
        ]
        for name, rows in (("leaky", np.arange(200)), ("honest", first))
    }
    assert known["leaky"] > 0.4
    assert abs(known["honest"]) < 0.25


def test_without_pairing_a_shared_start_hides_the_difference():
    rng = np.random.default_rng(0)
    start = rng.normal(scale=0.1, size=30)
    a, b = (0.5 + gain + start + rng.normal(scale=0.01, size=30) for gain in (0.02, 0.0))
    assert t_interval(a - b).low > 0
    assert t_interval(a).low < t_interval(b).high
