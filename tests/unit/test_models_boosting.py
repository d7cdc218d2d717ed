"""LightGBM as estimators: scikit-learn's contract, the lecture's defaults, the same trees whatever the threads."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from course_lib.models import LightGBMClassifier, LightGBMRegressor

# The one list of scikit-learn checks that our LightGBM estimators do not pass, with reasons. Empty: they pass all.
EXPECTED_FAILURES: dict[str, str] = {}


@parametrize_with_checks(
    [LightGBMRegressor(), LightGBMClassifier()], expected_failed_checks=lambda estimator: EXPECTED_FAILURES
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 12))
    return X, 300 + 40 * X[:, 0] - 25 * np.abs(X[:, 1]) + 5 * rng.normal(size=300)


def test_defaults_are_the_lectures():
    lecture = {
        "objective": "regression",
        "boosting_type": "gbdt",
        "subsample": 0.8,
        "subsample_freq": 1,
        "metric": "mae",
        "reg_alpha": 0.8,
        "reg_lambda": 0.2,
        "colsample_bytree": 0.6,
        "n_estimators": 100,
        "n_jobs": 1,
    }
    assert lecture.items() <= LightGBMRegressor().get_params().items()


def test_parameters_reach_lightgbm(table):
    X, y = table
    model = LightGBMRegressor(num_leaves=4, n_estimators=7, max_bin=15, learning_rate=0.2, bagging_seed=9).fit(X, y)
    said = model.booster_.dump_model()
    assert len(said["tree_info"]) == 7
    assert max(tree["num_leaves"] for tree in said["tree_info"]) == 4
    text = model.booster_.model_to_string()
    expected = (
        "bagging_fraction: 0.8, bagging_freq: 1, lambda_l1: 0.8, lambda_l2: 0.2, metric: l1, feature_fraction: 0.6"
    )
    expected += ", max_bin: 15, learning_rate: 0.2, bagging_seed: 9, objective: regression, num_threads: 1"
    expected += ", deterministic: 1, force_row_wise: 1"
    for line in expected.split(", "):
        assert f"[{line}]" in text, line


def test_same_trees_with_one_and_two_threads(table):
    X, y = table
    one, two = LightGBMRegressor(n_jobs=1).fit(X, y), LightGBMRegressor(n_jobs=2).fit(X, y)
    assert np.array_equal(one.predict(X), two.predict(X))
    assert np.array_equal(one.predict(X), LightGBMRegressor().fit(X, y).predict(X))
    assert not np.array_equal(one.predict(X), LightGBMRegressor(random_state=1).fit(X, y).predict(X))
    assert not np.array_equal(one.predict(X), LightGBMRegressor(bagging_seed=77).fit(X, y).predict(X))


def test_it_learns(table):
    X, y = table
    score = cross_val_score(LightGBMRegressor(min_child_samples=5), X, y, cv=5, scoring="r2").mean()
    assert score > 0.8


def test_any_column_name(table):
    X, y = table
    names = ['"AATS"[0]', "{a: 1}", "c,d", "n[nH]", "é", "a b", *"ghijkl"]
    frame = pd.DataFrame(X, columns=names)
    model = LightGBMRegressor(n_estimators=20).fit(frame, y)
    assert model.feature_names_in_.tolist() == names
    assert np.array_equal(model.predict(frame), LightGBMRegressor(n_estimators=20).fit(X, y).predict(X))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame[names[::-1]])


def test_importances_name_the_features_that_matter(table):
    X, y = table
    importance = LightGBMRegressor().fit(X, y).feature_importances_
    assert importance.sum() == pytest.approx(1)
    assert set(np.argsort(importance)[-2:]) == {0, 1}
    assert LightGBMRegressor().fit(X[:10], y[:10]).feature_importances_.sum() == 0  # 20 rows a leaf: no split


def test_min_child_samples_decides_whether_fifteen_rows_can_be_split(table):
    X, y = table
    assert np.ptp(LightGBMRegressor().fit(X[:15], y[:15]).predict(X)) == 0
    assert np.ptp(LightGBMRegressor(min_child_samples=3).fit(X[:15], y[:15]).predict(X)) > 10


def test_sample_weight_counts(table):
    X, y = table
    X, y = X[:60], np.where(np.arange(60) < 30, 0.0, 100.0)
    rng = np.random.default_rng(0)
    X = rng.normal(size=X.shape)  # nothing to learn: the prediction is about the weighted mean
    weights = np.where(y > 0, 9.0, 1.0)
    flat = LightGBMRegressor(n_estimators=1, min_child_samples=60)
    assert flat.fit(X, y).predict(X)[0] == pytest.approx(50)
    assert clone(flat).fit(X, y, sample_weight=weights).predict(X)[0] == pytest.approx(90)
    with pytest.raises(ValueError, match="zero"):
        flat.fit(X, y, sample_weight=np.zeros(60))
    with pytest.raises(ValueError, match=r"[Nn]egative"):
        flat.fit(X, y, sample_weight=-weights)


def test_gaps_are_allowed_and_infinity_is_not(table):
    X, y = table
    gap = X.copy()
    gap[::3, 0] = np.nan
    assert np.isfinite(LightGBMRegressor().fit(gap, y).predict(gap)).all()
    gap[0, 0] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        LightGBMRegressor().fit(gap, y)


def test_first_trees_only(table):
    X, y = table
    long, short = LightGBMRegressor(n_estimators=40).fit(X, y), LightGBMRegressor(n_estimators=15).fit(X, y)
    assert np.allclose(long.predict(X, n_trees=15), short.predict(X))
    assert not np.allclose(long.predict(X), short.predict(X))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_classifier(n_classes):
    X, code = make_classification(300, 10, n_informative=5, n_classes=n_classes, random_state=0)
    y = np.array(["low", "middle", "high"], dtype=object)[code]
    model = LightGBMClassifier(min_child_samples=5).fit(X[:200], y[:200])
    probability = model.predict_proba(X[200:])
    assert probability.shape == (100, n_classes)
    assert np.allclose(probability.sum(axis=1), 1)
    assert model.classes_.tolist() == sorted(set(y))
    assert np.mean(model.predict(X[200:]) == y[200:]) > 0.7
    assert np.array_equal(model.predict(X), model.classes_[model.predict_proba(X).argmax(axis=1)])


def test_class_weight_is_row_weight():
    X, y = make_classification(200, 6, weights=[0.85], random_state=0)
    balanced = LightGBMClassifier(class_weight="balanced").fit(X, y)
    by_hand = len(y) / (2 * np.bincount(y))
    weighted = LightGBMClassifier().fit(X, y, sample_weight=by_hand[y])
    assert np.allclose(balanced.predict_proba(X), weighted.predict_proba(X))
    assert balanced.predict_proba(X)[:, 1].mean() > LightGBMClassifier().fit(X, y).predict_proba(X)[:, 1].mean()
    with pytest.raises(ValueError, match="1 class"):
        LightGBMClassifier().fit(X[:10], np.zeros(10))
