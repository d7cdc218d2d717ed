"""The facts that lesson 09 rests on: what seeds, averages, priors, spreads and chosen epochs do."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Lasso, Ridge
from sklearn.metrics import roc_auc_score

from course_lib.models import BNNRegressor
from course_lib.panel import era_scores, simulate
from course_lib.teaching.exercises.lesson_09 import CHOOSE, JUDGE, _honest


def test_who_knows_the_signal_scores_little_and_loses_in_burn_eras():
    panel = simulate(n_eras=400, n_rows=200, signal=0.12, random_state=1)
    scores = era_scores(panel.signal[:, 0], panel.targets["alpha_20"], panel.eras)
    burns = panel.truth["burn"].to_numpy()
    noise = scores.std() / np.sqrt(400)
    # Spearman's correlation of two normal variables with correlation r is (6 / pi) arcsin(r / 2)
    expected = 6 / np.pi * np.arcsin(0.12 * panel.truth["effect"] / 2)
    assert scores.mean() == pytest.approx(expected.mean(), abs=4 * noise)
    assert scores[burns].mean() < -0.05 < 0.05 < scores[~burns].mean()


@pytest.mark.parametrize(("burn_scale", "low", "high"), [(1.0, 0.41, 0.59), (1.5, 0.999, 1.0), (1 / 1.5, 0.0, 0.001)])
def test_no_function_of_the_features_finds_what_they_do_not_show(burn_scale, low, high):
    panel = simulate(n_eras=1000, n_rows=20, burn_scale=burn_scale, random_state=2)
    width = pd.Series((panel.X**2).mean(axis=1)).groupby(panel.eras).mean()
    assert low <= roc_auc_score(panel.truth["burn"], width) <= high  # chance: 0.5, standard error 0.023


def test_an_average_of_independent_members_scores_above_them():
    rng = np.random.default_rng(0)
    eras, signal = np.repeat(np.arange(10), 100), rng.normal(size=1000)
    y = 0.3 * signal + rng.normal(size=1000)
    members = signal + 3 * rng.normal(size=(30, 1000))
    single = np.mean([era_scores(member, y, eras).mean() for member in members])
    same = np.tile(members[0], (30, 1)).mean(axis=0)
    assert era_scores(members.mean(axis=0), y, eras).mean() > 2 * single
    assert era_scores(same, y, eras).mean() == pytest.approx(era_scores(members[0], y, eras).mean())


def test_a_flat_prior_has_no_best_posterior():
    """Weights into a unit times c, the one out of it divided by c: the same network, and a bound higher by 5 log c."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 5))
    model = BNNRegressor((3,), prior="uniform", n_steps=20).fit(X, X[:, 0])

    def entropy():  # all that a flat prior leaves of the bound, beside the likelihood, up to a constant
        return sum(float(width.detach().sum()) for width in model.guide_.log_width.values())

    functions, before = np.array(list(model.sample_functions(X, 20))), entropy()
    for name, unit, factor in (("weight_0", np.s_[:, 0], 10), ("bias_0", np.s_[0], 10), ("weight_1", np.s_[0], 0.1)):
        model.guide_.location[name].data[unit] *= factor
        model.guide_.log_width[name].data[unit] += np.log(factor)
    np.testing.assert_allclose(np.array(list(model.sample_functions(X, 20))), functions, atol=1e-4)
    assert entropy() - before == pytest.approx((5 + 1 - 1) * np.log(10), abs=1e-3)


def test_a_laplace_prior_sets_weights_to_zero_and_a_normal_one_does_not():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(14, 12))
    y = X[:, 0] + 0.3 * rng.normal(size=14)
    lasso = Lasso(np.sqrt(2) * 0.3**2 / (0.3 * 14), fit_intercept=False, tol=1e-8, max_iter=100_000).fit(X, y).coef_
    ridge = Ridge(1.0, fit_intercept=False).fit(X, y).coef_
    assert (np.abs(lasso) < 1e-9).sum() >= 3
    assert (np.abs(ridge) < 1e-9).sum() == 0


def test_the_best_epoch_gains_from_nothing_and_an_honest_choice_does_not():
    rng = np.random.default_rng(0)
    leaky, honest = [], []
    for _ in range(500):
        scores = rng.normal(size=(30, 20))  # no epoch is better than another
        leaky.append(scores.mean(axis=1).max())
        honest.append(_honest(scores, CHOOSE, JUDGE))
    assert np.mean(leaky) > 0.3
    assert abs(np.mean(honest)) < 4 * np.std(honest) / np.sqrt(500)
