"""Tuning: the score is per molecule, the folds are kept apart, both methods have the same space and budget."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from course_lib.models import SPACE, LightGBMClassifier, LightGBMRegressor, average_by_group, fit_weighted, tune
from course_lib.models.tuning import _FoldLosses, cv_losses
from course_lib.splits import GroupKFold, LeakError

CV = GroupKFold(3, shuffle=True, random_state=1)
SMALL = LightGBMRegressor(n_estimators=15, min_child_samples=5)


@pytest.fixture(scope="module")
def rows():
    """40 molecules, 2 to 5 rows each, 6 features; y is a property of the molecule."""
    rng = np.random.default_rng(0)
    molecule = np.repeat(np.arange(40), rng.integers(2, 6, 40))
    own = rng.normal(size=(40, 6))
    X = pd.DataFrame(own[molecule] + 0.3 * rng.normal(size=(len(molecule), 6)), columns=[f"a[{i}]" for i in range(6)])
    y = (300 + 40 * own[:, 0] - 20 * own[:, 1])[molecule]
    return X, y, np.array([f"M{m:02d}" for m in molecule], dtype=object)


def test_average_by_group():
    names, means = average_by_group([1.0, 5.0, 3.0, 10.0], ["b", "a", "b", "a"])
    assert names.tolist() == ["a", "b"]
    assert means.tolist() == [7.5, 2.0]
    _, table = average_by_group([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], [7, 7, 8])
    assert table.tolist() == [[0.5, 0.5], [1.0, 0.0]]
    with pytest.raises(ValueError, match="3 predictions but group labels of shape"):
        average_by_group([1, 2, 3], ["a", "b"])


def test_fit_weighted_reaches_the_last_step_and_refuses_what_takes_none():
    X, y, weights = np.zeros((4, 1)), np.array([0.0, 0.0, 0.0, 8.0]), np.array([1.0, 1.0, 1.0, 5.0])
    pipeline = make_pipeline(StandardScaler(), Ridge())
    assert fit_weighted(pipeline, X, y, weights).predict(X)[0] == pytest.approx(5.0)
    assert fit_weighted(pipeline, X, y).predict(X)[0] == pytest.approx(2.0)
    from sklearn.neighbors import KNeighborsRegressor

    neighbours = KNeighborsRegressor(1)
    assert fit_weighted(neighbours, X, y, np.full(4, 3.0)) is neighbours  # equal weights are none
    with pytest.raises(ValueError, match="KNeighborsRegressor takes no row weights"):
        fit_weighted(neighbours, X, y, weights)


def losses_by_hand(model, X, y, groups, weights=None):
    model, result = clone(model), []
    for train, test in CV.split(X, y, groups):
        fitted = fit_weighted(model, X.iloc[train], y[train], None if weights is None else weights[train])
        frame = pd.DataFrame({"group": groups[test], "true": y[test], "pred": fitted.predict(X.iloc[test])})
        means = frame.groupby("group").mean()
        result.append(np.mean(np.abs(means["true"] - means["pred"])))
    return np.array(result)


def test_score_is_the_error_of_molecules(rows):
    X, y, groups = rows
    assert np.allclose(cv_losses(SMALL, X, y, groups=groups, cv=CV), losses_by_hand(SMALL, X, y, groups))
    ridge = make_pipeline(StandardScaler(), Ridge())
    assert np.allclose(cv_losses(ridge, X, y, groups=groups, cv=CV), losses_by_hand(ridge, X, y, groups))
    weights = np.random.default_rng(0).uniform(0.2, 2, len(y))
    weighted = cv_losses(SMALL, X, y, groups=groups, cv=CV, weights=weights)
    assert np.allclose(weighted, losses_by_hand(SMALL, X, y, groups, weights))
    assert not np.allclose(weighted, cv_losses(SMALL, X, y, groups=groups, cv=CV))


@pytest.mark.parametrize("pipeline", [False, True])
def test_reused_bins_change_nothing(rows, pipeline):
    """The history's scores are those of estimators fitted from scratch, fold by fold."""
    X, y, groups = rows
    model = make_pipeline(StandardScaler().set_output(transform="pandas"), SMALL) if pipeline else SMALL
    result = tune(model, X, y, groups=groups, cv=CV, n_iter=4, method="random", random_state=3)
    for _, line in result.history.iterrows():
        parameters = {name: (line[name] if name == "learning_rate" else int(line[name])) for name in SPACE}
        fresh = LightGBMRegressor(n_estimators=15, min_child_samples=5, **parameters)
        expected = losses_by_hand(make_pipeline(StandardScaler(), fresh) if pipeline else fresh, X, y, groups)
        assert line["score"] == pytest.approx(-expected.mean(), rel=1e-12)
        assert line["sd"] == pytest.approx(expected.std(ddof=1), rel=1e-9)


def test_parameters_of_the_binned_table_can_be_tuned(rows):
    X, y, groups = rows
    space = {"min_child_samples": ("int", 2, 30), "max_bin": ("int", 3, 100)}
    losses = _FoldLosses(SMALL, X, y, groups=groups, cv=CV, weights=None, molecule=None, loss=None)
    for leaf, bins in ((2, 100), (30, 100), (2, 3)):
        expected = losses_by_hand(
            LightGBMRegressor(n_estimators=15, min_child_samples=leaf, max_bin=bins), X, y, groups
        )
        assert np.allclose(losses({"min_child_samples": leaf, "max_bin": bins}), expected)
    result = tune(SMALL, X, y, groups=groups, cv=CV, n_iter=6, space=space)
    assert set(result.best_params) == {"min_child_samples", "max_bin"}


@pytest.mark.parametrize("method", ["bayes", "random"])
def test_budget_space_and_choice(rows, method):
    X, y, groups = rows
    result = tune(SMALL, X, y, groups=groups, cv=CV, n_iter=9, method=method, random_state=5)
    history = result.history
    assert len(history) == 9
    for name, (kind, low, high) in SPACE.items():
        assert history[name].between(low * (1 - 1e-9), high * (1 + 1e-9)).all()
        if kind == "int":
            assert (history[name] == history[name].round()).all()
    assert result.best_score == history["score"].max() == history["best_so_far"].iloc[-1]
    best = history.loc[history["score"].idxmax()]
    assert all(result.best_params[name] == best[name] for name in SPACE)
    fresh = LightGBMRegressor(n_estimators=15, min_child_samples=5, **result.best_params).fit(X, y)
    assert np.array_equal(result.best_estimator.predict(X), fresh.predict(X))
    again = tune(SMALL, X, y, groups=groups, cv=CV, n_iter=9, method=method, random_state=5)
    pd.testing.assert_frame_equal(history, again.history)
    assert SMALL.num_leaves == 31
    assert not hasattr(SMALL, "booster_")


def test_both_methods_start_from_the_same_points(rows, capfd):
    X, y, groups = rows
    bayes, random = (
        tune(SMALL, X, y, groups=groups, cv=CV, n_iter=8, method=m, random_state=2).history for m in ("bayes", "random")
    )
    names = list(SPACE)
    pd.testing.assert_frame_equal(bayes.loc[:4, names], random.loc[:4, names])
    assert not np.allclose(bayes.loc[5:, "learning_rate"], random.loc[5:, "learning_rate"])
    assert capfd.readouterr() == ("", "")


def test_bayes_finds_a_planted_optimum_sooner_than_random():
    """The loss is a bowl in log10(alpha): after 11 points the surrogate is nearer to its bottom, over four seeds."""
    X, y = np.zeros((6, 1)), np.zeros(6)

    class Bowl(Ridge):
        def fit(self, X, y):
            return self

        def predict(self, X):
            return np.full(len(X), (np.log10(self.alpha) - 1.3) ** 2)

    def reached(method, seed):
        cv, space = KFold(2), {"alpha": ("log10", 1e-4, 1e4)}
        return -tune(
            Bowl(), X, y, groups=None, cv=cv, n_iter=11, method=method, space=space, random_state=seed
        ).best_score

    bayes, random = (np.array([reached(method, seed) for seed in range(4)]) for method in ("bayes", "random"))
    assert np.median(bayes) < 0.2 * np.median(random)


def test_tune_passes_its_splits_through_the_guard(rows):
    X, y, groups = rows
    with (
        pytest.raises(LeakError, match="on both sides"),
        pytest.warns(UserWarning, match="groups parameter is ignored"),
    ):
        tune(SMALL, X, y, groups=groups, cv=KFold(3, shuffle=True, random_state=0), n_iter=1)


def test_row_split_flatters(rows):
    """groups=None is a deliberate split by rows; predictions are still averaged over ``molecule``."""
    X, y, groups = rows
    model = LightGBMRegressor(n_estimators=60, min_child_samples=2)
    by_row = cv_losses(model, X, y, groups=None, molecule=groups, cv=KFold(3, shuffle=True, random_state=0))
    assert by_row.mean() < 0.8 * cv_losses(model, X, y, groups=groups, cv=CV).mean()


def test_classifier_is_tuned_on_log_loss(rows):
    X, y, groups = rows
    label = np.where(y > np.median(y), "high", "low")
    model = LightGBMClassifier(n_estimators=15, min_child_samples=5)
    result = tune(model, X, label, groups=groups, cv=CV, n_iter=3)
    assert -np.log(2) < result.best_score < 0
    expected = []
    for train, test in CV.split(X, label, groups):
        fresh = LightGBMClassifier(n_estimators=15, min_child_samples=5, **result.best_params)
        high = fresh.fit(X.iloc[train], label[train]).predict_proba(X.iloc[test])[:, 0]
        p = pd.DataFrame({"g": groups[test], "p": high, "is": label[test] == "high"}).groupby("g").mean()
        expected.append(-np.mean(np.log(np.where(p["is"] == 1, p["p"], 1 - p["p"]))))
    assert result.best_score == pytest.approx(-np.mean(expected))


def test_errors_say_what_to_do(rows):
    X, y, groups = rows
    for wrong, message in (
        ({"method": "grid"}, "choose 'bayes' or 'random'"),
        ({"n_iter": 0}, "n_iter is 0: give a whole number of at least 1"),
        ({"space": {"depth": ("int", 1, 3)}}, "LightGBMRegressor has no hyperparameter 'depth'"),
        ({"space": {"max_depth": ("int", 3, 3)}}, "low < high"),
        ({"space": {"learning_rate": ("log10", 0, 1)}}, "above 0 for log10"),
        ({"space": {}}, "the search space is empty"),
        ({"weights": np.ones(3)}, f"X has {len(y)} rows, weights has 3"),
    ):
        with pytest.raises(ValueError, match=message):
            tune(SMALL, X, y, **{"groups": groups, "cv": CV, **wrong})


def test_a_score_of_the_distribution_and_a_choice(rows):
    """With return_std the loss takes truth, mean and std over molecules; a choice gives one of its values."""
    from sklearn.linear_model import BayesianRidge

    X, y, groups = rows

    def loss(truth, mean, std):
        return float(np.mean(((truth - mean) / std) ** 2 + 2 * np.log(std)))

    space = {"max_iter": ("choice", 5, 50, 500), "lambda_1": ("log10", 1e-6, 1e3)}
    options = {"groups": groups, "cv": CV, "loss": loss, "return_std": True}
    history = tune(BayesianRidge(), X, y, n_iter=6, space=space, **options).history
    assert set(history["max_iter"]) <= {5, 50, 500}
    line, by_hand = history.iloc[0], []
    for train, test in CV.split(X, y, groups):
        model = BayesianRidge(max_iter=int(line["max_iter"]), lambda_1=line["lambda_1"]).fit(X.iloc[train], y[train])
        mean, std = model.predict(X.iloc[test], return_std=True)
        frame = pd.DataFrame({"truth": y[test], "mean": mean, "std": std}).groupby(groups[test]).mean()
        by_hand.append(loss(*frame.to_numpy().T))
    assert line["score"] == pytest.approx(-np.mean(by_hand))
    with pytest.raises(ValueError, match=r"truth, mean, std"):
        cv_losses(BayesianRidge(), X, y, groups=groups, cv=CV, return_std=True)
    with pytest.raises(ValueError, match="'choice', first, second"):
        tune(BayesianRidge(), X, y, n_iter=1, space={"max_iter": ("choice", 5)}, **options)
