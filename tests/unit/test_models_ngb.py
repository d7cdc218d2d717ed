"""NGBoost: a standard deviation that follows the noise, quiet, the same trees from the same seed."""

import numpy as np
import pandas as pd
import pytest
from ngboost import NGBClassifier
from ngboost.distns.categorical import Bernoulli
from ngboost.manifold import manifold
from ngboost.scores import LogScore
from scipy.stats import binom
from sklearn.metrics import log_loss
from sklearn.model_selection import KFold
from sklearn.utils.estimator_checks import parametrize_with_checks

from course_lib.models import NGBoostClassifier, NGBoostRegressor, tune
from course_lib.models.ngb import _Bernoulli
from course_lib.splits import GroupKFold

# The one list of scikit-learn checks that NGBoost does not pass, with reasons. Empty: it passes all.
EXPECTED_FAILURES: dict[str, str] = {}
FEW = {"n_estimators": 20, "learning_rate": 0.15, "colsample": 1.0, "n_folds": 0}


@parametrize_with_checks(
    [NGBoostRegressor(**FEW | {"n_folds": 2}), NGBoostClassifier(**FEW | {"n_folds": 2})],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES,
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def noisy(n):
    """Noise of standard deviation 5 where the first column is negative, 25 elsewhere; in kelvin, say."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 3)) * [1, 100, 0.01]
    noise = np.where(X[:, 0] < 0, 5.0, 25.0)
    return X, 300 + 0.4 * X[:, 1] + noise * rng.normal(size=n), noise


@pytest.fixture(scope="module")
def table():
    return noisy(400)


def test_noise_that_depends_on_x_is_found():
    """With many rows, that is: with few the standard deviation also holds what the trees do not know about the mean."""
    X, y, noise = noisy(1600)
    parts = NGBoostRegressor(colsample=1.0).fit(X[:1200], y[:1200]).predict_parts(X[1200:])
    quiet, loud = (parts["aleatoric"][noise[1200:] == size].mean() for size in (5, 25))
    assert loud > 2.5 * quiet
    assert loud == pytest.approx(25, rel=0.3)


def test_all_of_the_spread_is_aleatoric(table):
    X, y, _ = table
    model = NGBoostRegressor(**FEW).fit(X, y)
    parts, (mean, std) = model.predict_parts(X), model.predict(X, return_std=True)
    assert parts["epistemic"].isna().all()
    assert np.array_equal(parts["aleatoric"], parts["std"])
    assert np.array_equal(parts["std"], std)
    assert np.array_equal(parts["mean"], mean)


def test_boosting_alone_is_too_sure_and_the_inner_cross_validation_mends_it(table):
    """80 % intervals of 100 new rows, 99.9 % of a binomial's range: outside without, inside with inner folds."""
    X, y, _ = table
    low, high = binom.interval(0.999, 100, 0.8)

    def inside(**options):
        mean, std = NGBoostRegressor(colsample=1.0, **options).fit(X[:300], y[:300]).predict(X[300:], return_std=True)
        return np.sum(np.abs(y[300:] - mean) < 1.2816 * std)

    assert inside(n_folds=0) < low
    assert low <= inside() <= high


def test_rounds_and_factor_are_the_best_pair_on_rows_held_out(table):
    X, y, _ = table
    X, y = X[:60], y[:60]
    model = NGBoostRegressor(n_estimators=25, colsample=1.0).fit(X, y)
    Xs, ys = model.inputs_.transform(X), (y - model.y_mean_) / model.y_scale_
    plain = NGBoostRegressor(n_estimators=25, colsample=1.0, n_folds=0)
    folds = list(KFold(4, shuffle=True, random_state=0).split(Xs))
    fits, scores = [plain._boost(Xs[train], ys[train]) for train, _ in folds], {}
    for rounds in range(1, 26):
        z, log_std = np.empty(60), np.empty(60)
        for fit, (_, test) in zip(fits, folds, strict=True):
            found = fit.pred_dist(Xs[test], max_iter=rounds)
            z[test], log_std[test] = (ys[test] - found.loc) / found.scale, np.log(found.scale)
        for factor in np.sqrt(np.mean(z**2)) * np.array([0.9, 1.0, 1.1]):
            scores[rounds, factor] = np.mean((z / factor) ** 2 / 2 + np.log(factor) + log_std)
    rounds, factor = min(scores, key=scores.get)
    assert model.n_rounds_ == rounds
    assert model.std_factor_ == pytest.approx(factor)
    plain = model.model_.pred_dist(Xs, max_iter=rounds)
    assert np.allclose(model.predict(X, return_std=True)[1], plain.scale * factor * model.y_scale_)


def test_quiet_and_reproducible(table, capfd, recwarn):
    X, y, _ = table
    one, two = (NGBoostRegressor(n_estimators=20, random_state=4).fit(X, y).predict(X, True) for _ in range(2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, NGBoostRegressor(n_estimators=20, random_state=5).fit(X, y).predict(X, True))
    assert capfd.readouterr() == ("", "")
    assert len(recwarn) == 0


def test_ties_between_columns_break_the_same_way(table):
    """Two columns that carry the same order of rows: which one a tree takes is drawn, from the seed."""
    X, y, _ = table
    X = np.column_stack([X[:, 1], X[:, 1] ** 3, np.exp(X[:, 1] / 200)])
    new = np.column_stack([X[::-1, 0], X[:, 1], X[:, 2]])
    one, two = (NGBoostRegressor(n_estimators=20).fit(X, y).predict(new) for _ in range(2))
    assert np.array_equal(one, two)


def test_unit_of_the_target_does_not_matter(table):
    X, y, _ = table
    kelvin, milli = NGBoostRegressor(**FEW).fit(X, y), NGBoostRegressor(**FEW).fit(X, 1024 * y)
    # a power of two: the scaled targets are the same to the last digit, and so are ties between splits
    assert np.array_equal(milli.predict(X, return_std=True), 1024 * np.array(kelvin.predict(X, return_std=True)))


def test_raw_descriptors_with_gaps_and_constant_columns(table):
    X, y, _ = table
    frame = pd.DataFrame(np.column_stack([X, np.ones(400), np.full(400, np.nan)]), columns=list("abcde"))
    frame.iloc[::20, 1] = np.nan
    assert np.isfinite(NGBoostRegressor(**FEW).fit(frame, y).predict(frame, return_std=True)).all()


def test_parameters_reach_ngboost(table):
    X, y, _ = table
    model = NGBoostRegressor(
        n_estimators=7, n_folds=0, max_depth=2, min_samples_leaf=9, subsample=0.5, colsample=0.67
    ).fit(X, y)
    assert len(model.model_.base_models) == 7
    trees = [tree for pair in model.model_.base_models for tree in pair]
    assert max(tree.get_depth() for tree in trees) == 2
    assert all(tree.tree_.n_node_samples[0] == 200 and tree.n_features_in_ == 2 for tree in trees)
    assert min(tree.tree_.n_node_samples.min() for tree in trees) >= 9


def test_classifier_learns_and_is_calibrated():
    """Where the true probability is known, the mean absolute distance from it stays within 0.1."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1500, 4))
    truth = 1 / (1 + np.exp(-2 * X[:, 0]))
    y = np.where(rng.random(1500) < truth, "burns", "does not")
    model = NGBoostClassifier(colsample=0.5).fit(X[:1000], y[:1000])
    assert model.classes_.tolist() == ["burns", "does not"]
    assert np.abs(model.predict_proba(X[1000:])[:, 0] - truth[1000:]).mean() < 0.1
    with pytest.raises(NotImplementedError, match="no posterior samples"):
        model.predict_parts(X)


def test_one_round_does_not_make_a_class_certain():
    """With the library's own line search one round of few rows and many columns does, and most new rows tie."""
    losses = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(1000, 300))
        y = (X[:, 0] + X[:, 1] + rng.normal(size=1000) > 0).astype(int)
        ours, library = NGBoostClassifier(), NGBoostClassifier()
        library._library = NGBClassifier
        p = [model.fit(X[:60], y[:60]).predict_proba(X[60:])[:, 1] for model in (ours, library)]
        assert len(np.unique(p[0])) > 100 > 10 > len(np.unique(p[1]))
        assert max(ours.model_.scalings) == 1 < max(library.model_.scalings)
        losses.append([log_loss(y[60:], q) for q in p])
    assert np.less(*np.transpose(losses)).all()


def test_tuning(table):
    X, y, _ = table

    def nll(truth, mean, std):
        return float(np.mean(((truth - mean) / std) ** 2 / 2 + np.log(std)))

    model, groups = NGBoostRegressor(n_estimators=10), np.arange(60)
    options = {"groups": groups, "cv": GroupKFold(2, shuffle=True, random_state=0), "loss": nll, "return_std": True}
    found = tune(model, X[:60], y[:60], n_iter=3, space=model.TUNE_SPACE, **options)
    assert set(found.best_params) == set(model.TUNE_SPACE)
    assert found.best_estimator.model_.Base.max_depth == found.best_params["max_depth"]


def test_the_normal_distribution_without_its_scipy_object_gives_ngboosts_own_numbers(table, monkeypatch):
    X, y = table[0][:100], table[1][:100]
    ours = NGBoostRegressor(**FEW | {"n_folds": 2}).fit(X, y).predict(X, return_std=True)
    monkeypatch.setattr(NGBoostRegressor, "_options", {})
    theirs = NGBoostRegressor(**FEW | {"n_folds": 2}).fit(X, y).predict(X, return_std=True)
    np.testing.assert_array_equal(ours, theirs)


def test_the_natural_gradient_of_a_certain_class_is_finite():
    """With 200 flammable liquids p became 0 and 1 to the last digit, and the fit ended in an error."""
    certain, ordinary, code = np.array([[-730.0]]), np.array([[1.5]]), np.array([1])
    ours, theirs = (manifold(LogScore, kind) for kind in (_Bernoulli, Bernoulli))
    assert np.isfinite(ours(certain).grad(code, natural=True)).all()
    assert ours(ordinary).grad(code, natural=True) == pytest.approx(theirs(ordinary).grad(code, natural=True))
    with np.errstate(all="ignore"):
        assert not np.isfinite(theirs(certain).grad(code, natural=True)).all()
