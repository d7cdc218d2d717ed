"""Metrics against scikit-learn; intervals against a known truth; comparison on identical splits, without leaks."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics as reference
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import KFold
from sklearn.neighbors import KNeighborsRegressor

from course_lib.evaluate import Interval, compare, mae, nadeau_bengio, paired, r2, rmse, summary, t_interval
from course_lib.splits import GroupShuffleSplit, LeakError, RepeatedGroupKFold


# ------------------------------------------------------------------------------------------------------- metrics
def test_metrics_agree_with_scikit_learn():
    rng = np.random.default_rng(0)
    y, p = rng.normal(size=50), rng.normal(size=50)
    assert mae(y, p) == pytest.approx(reference.mean_absolute_error(y, p))
    assert rmse(y, p) == pytest.approx(reference.root_mean_squared_error(y, p))
    assert r2(y, p) == pytest.approx(reference.r2_score(y, p))
    assert (mae(y, y), rmse(y, y), r2(y, y), r2(y, np.full(50, y.mean()))) == pytest.approx((0, 0, 1, 0))


@pytest.mark.parametrize("metric", [mae, rmse, r2])
def test_metrics_refuse_bad_input(metric):
    with pytest.raises(ValueError, match="same length"):
        metric([1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match=r"row 1: y_true nan, y_pred 2.0 \(1 such rows\)"):
        metric([1, np.nan], [1, 2])
    with pytest.raises(ValueError, match="no value"):
        metric([], [])


def test_r2_needs_spread():
    with pytest.raises(ValueError, match="not defined"):
        r2([3.0, 3.0], [3.0, 2.0])


# ----------------------------------------------------------------------------------------------------- intervals
def test_nadeau_bengio_is_its_formula():
    d = np.array([1.0, 2.0, 4.0, 1.5, 0.5])
    interval = nadeau_bengio(d, 80, 20, level=0.9)
    se = d.std(ddof=1) * np.sqrt(1 / 5 + 20 / 80)
    half = stats.t.ppf(0.95, 4) * se
    expected = (d.mean(), d.mean() - half, d.mean() + half, se, 4)
    assert (interval.estimate, interval.low, interval.high, interval.se, interval.df) == pytest.approx(expected)
    assert d.mean() in interval
    assert interval.high + 1e-6 not in interval
    assert str(Interval(1.23456, 0.5, 2.0, 0.1, 3)) == "1.23 [0.5, 2]"


def test_nadeau_bengio_does_not_shrink_to_nothing_with_more_splits():
    few, many = np.tile([0.0, 1.0], 5), np.tile([0.0, 1.0], 500)
    assert t_interval(many).se < 0.15 * t_interval(few).se
    assert nadeau_bengio(many, 80, 20).se > 0.8 * nadeau_bengio(few, 80, 20).se


def test_t_interval_is_scipys():
    values = np.array([1.0, 2.0, 4.0, 1.5])
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    interval = t_interval(values)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0], 80, 20), "at least 2 numbers"),
        (([1.0, np.nan], 80, 20), r"differences\[1\] is nan"),
        (([1.0, 2.0], 0, 20), "n_train is 0"),
        (([1.0, 2.0], 80, -1), "n_test is -1"),
        (([1.0, 2.0], float("nan"), 20), "n_train is nan"),
        (([1.0, 2.0], 80, 20, 95), "level is 95"),
    ],
)
def test_nadeau_bengio_refuses_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        nadeau_bengio(*arguments)


def test_t_interval_refuses_one_unit():
    with pytest.raises(ValueError, match="at least 2 numbers"):
        t_interval([3.0])


def _ridge(X, y, Z, penalty):
    centre = X.mean(axis=0)
    A = X - centre
    slope = np.linalg.solve(A.T @ A + penalty * np.eye(X.shape[1]), A.T @ (y - y.mean()))
    return y.mean() + (Z - centre) @ slope


def _sample(rng, n, slope):
    X = rng.normal(size=(n, len(slope)))
    return X, X @ slope + rng.normal(size=n)


def _difference(train, test, penalties):
    return np.subtract(*(np.mean(np.abs(test[1] - _ridge(*train, test[0], penalty))) for penalty in penalties))


@pytest.mark.parametrize(
    ("slope", "penalties"),
    [
        (np.array([1, 0.5, 0, 0, 0]), (1e-6, 1e9)),  # least squares against the mean: a large difference
        (np.full(10, 0.3), (1e-6, 30.0)),  # least squares against ridge: a small one
    ],
)
def test_nadeau_bengio_covers_a_known_truth_and_the_naive_interval_does_not(slope, penalties):
    """Repeated 5-fold cross-validation of 50 molecules, 300 data sets, nominal level 95 %.

    The truth is the expected difference of the two models' errors at this training size (40), from 3 000 independent
    training sets with 200 test molecules each; its own error is below a tenth of the interval's width.
    """
    rng = np.random.default_rng(0)
    truth = np.mean([_difference(_sample(rng, 40, slope), _sample(rng, 200, slope), penalties) for _ in range(3000)])
    corrected = naive = 0
    for _ in range(300):
        X, y = _sample(rng, 50, slope)
        differences = []
        for _ in range(4):
            for test in np.array_split(rng.permutation(50), 5):
                train = np.setdiff1d(np.arange(50), test)
                differences.append(_difference((X[train], y[train]), (X[test], y[test]), penalties))
        corrected += truth in nadeau_bengio(differences, 40, 10)
        naive += truth in t_interval(differences)
    assert corrected / 300 > 0.92
    assert naive / 300 < 0.88


# ---------------------------------------------------------------------------------------------------- comparison
@pytest.fixture
def molecules():
    """60 molecules in a table of 66 (six stand twice), four features."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4))
    y = 300 + 40 * X[:, 0] + 5 * rng.normal(size=60)
    again = np.r_[np.arange(60), np.arange(6)]
    return pd.DataFrame(X[again], columns=list("abcd")), y[again], np.array([f"M{i}" for i in again], dtype=object)


def test_compare_is_tidy_and_gives_the_models_the_same_splits(molecules):
    X, y, groups = molecules
    scores, predictions = compare(
        {"mean": DummyRegressor(), "linear": LinearRegression(), "again": LinearRegression()},
        X, y, groups, n_splits=5, n_repeats=2, metrics=("mae", "r2"), return_predictions=True,
    )  # fmt: skip
    assert scores.columns.tolist() == ["model", "repeat", "fold", "metric", "value", "n_train", "n_test"]
    assert len(scores) == 3 * 5 * 2 * 2
    assert scores.value_counts(["model", "metric"]).eq(10).all()
    assert (scores["n_train"] + scores["n_test"] == 66).all()
    wide = scores.pivot(index=["repeat", "fold", "metric"], columns="model", values="value")
    assert (wide["linear"] == wide["again"]).all()

    cv = RepeatedGroupKFold(5, n_repeats=2, random_state=0)
    train, test = list(cv.split(X, y, groups))[7]
    part = predictions.query("model == 'linear' and repeat == 1 and fold == 2")
    assert part["molecule"].tolist() == test.tolist()
    expected = LinearRegression().fit(X.iloc[train], y[train]).predict(X.iloc[test])
    assert np.allclose(part["y_pred"], expected)
    assert np.allclose(part["y_true"], y[test])
    assert wide.loc[(1, 2, "mae"), "linear"] == pytest.approx(mae(y[test], expected))


def augmented(X, copies, rng):
    """Rows in random order; molecule i has copies[i] rows."""
    row = np.repeat(np.arange(len(X)), copies)
    index = pd.MultiIndex.from_arrays([row, np.arange(len(row))], names=["row", "conformer"])
    return pd.DataFrame(np.asarray(X)[row] + 0.1 * rng.normal(size=(len(row), X.shape[1])), index=index).sample(
        frac=1, random_state=0
    )


def test_compare_of_augmented_rows(molecules):
    """Weights let molecules count once, predictions are averaged, and models may bring their own table."""
    X, y, groups = molecules
    rows = augmented(X, np.random.default_rng(1).integers(1, 6, len(X)), np.random.default_rng(2))
    models = {"flat": LinearRegression(), "rows": (Ridge(1e-3), rows)}
    scores = compare(models, X, y, groups, n_splits=4, n_repeats=1, metrics=("mae",))
    train, test = list(RepeatedGroupKFold(4, n_repeats=1, random_state=0).split(X, y, groups))[2]
    number = rows.index.get_level_values("row")
    inside = number.isin(train)
    weights = 1 / pd.Series(number[inside]).map(pd.Series(number).value_counts()).to_numpy()
    fitted = Ridge(1e-3).fit(rows[inside], y[number[inside]], sample_weight=weights * len(weights) / weights.sum())
    by_hand = [fitted.predict(rows[number == molecule]).mean() for molecule in test]
    value = scores.query("model == 'rows' and fold == 2")["value"].item()
    assert value == pytest.approx(mae(y[test], by_hand))
    unweighted = compare({"rows": (Ridge(1e-3), rows)}, None, y, groups, 4, 1, metrics=("mae",), weights=None)
    assert not np.isclose(unweighted["value"].iloc[2], value)
    with pytest.raises(ValueError, match="model 'near'.*takes no row weights"):
        compare({"near": (KNeighborsRegressor(), rows)}, X, y, groups)


class Spy(RegressorMixin, BaseEstimator):
    """Remembers which rows it was fitted on, and predicts 0."""

    seen: list = []  # noqa: RUF012

    def fit(self, X, y):
        Spy.seen.append(set(X["id"]))
        return self

    def predict(self, X):
        assert not Spy.seen[-1] & set(X["id"])
        return np.zeros(len(X))


def test_compare_fits_on_training_rows_only(molecules):
    _, y, groups = molecules
    Spy.seen.clear()
    compare({"spy": Spy()}, pd.DataFrame({"id": groups}), y, groups, n_splits=3, n_repeats=2)
    assert len(Spy.seen) == 6
    assert all(len(seen) == 40 for seen in Spy.seen)


def test_compare_takes_smiles_and_other_splitters(molecules):
    _, y, groups = molecules
    cv = GroupShuffleSplit(3, train_size=20, random_state=0)
    scores = compare(
        {"mean": DummyRegressor()}, groups, y, groups, cv=cv, metrics={"worst": lambda t, p: np.abs(t - p).max()}
    )
    assert scores["repeat"].eq(0).all()
    assert scores["fold"].tolist() == [0, 1, 2]
    assert scores["metric"].eq("worst").all()


def test_compare_is_the_same_with_two_workers(molecules):
    X, y, groups = molecules
    one, two = (compare({"ridge": Ridge()}, X, y, groups, n_repeats=1, n_jobs=n) for n in (1, 2))
    pd.testing.assert_frame_equal(one, two)


def test_compare_guards_and_errors(molecules):
    X, y, groups = molecules
    ridge = {"ridge": Ridge()}
    with pytest.raises(LeakError, match="'M"), pytest.warns(UserWarning, match="ignored"):
        compare(ridge, X, y, groups, cv=KFold(3, shuffle=True, random_state=0))
    with pytest.raises(ValueError, match="y has 66 molecules, groups has 65"):
        compare(ridge, X, y, groups[:-1])
    with pytest.raises(ValueError, match="model 'ridge': 65 rows of features for 66 molecules"):
        compare(ridge, X[:-1], y, groups)
    with pytest.raises(ValueError, match="unknown metric 'auc': choose from mae, rmse, r2"):
        compare(ridge, X, y, groups, metrics=("auc",))
    with pytest.raises(ValueError, match="models is empty"):
        compare({}, X, y, groups)
    with pytest.raises(ValueError, match="model 'ridge' has no features"):
        compare(ridge, None, y, groups)
    rows = augmented(X, np.where(np.arange(66) == 17, 0, 2), np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"molecule 17 has no row of features \(1 such molecules\)"):
        compare({"rows": (Ridge(), rows)}, X, y, groups)


def test_paired_and_summary(molecules):
    X, y, groups = molecules
    models = {"mean": DummyRegressor(), "linear": LinearRegression(), "ridge": Ridge(100.0)}
    scores = compare(models, X, y, groups)
    table = paired(scores, "mean", "mae").set_index("model")
    assert table.index.tolist() == ["linear", "ridge"]
    assert (table["reference"] == "mean").all()
    assert (table["metric"] == "mae").all()
    wide = scores[scores["metric"] == "mae"].pivot(index=["repeat", "fold"], columns="model", values="value")
    chosen = scores[scores["model"] == "mean"]
    expected = nadeau_bengio(
        (wide["linear"] - wide["mean"]).to_numpy(), chosen["n_train"].mean(), chosen["n_test"].mean()
    )
    found = table.loc["linear"]
    assert (found["difference"], found["low"], found["high"], found["se"], found["df"], found["n_splits"]) == (
        pytest.approx((expected.estimate, expected.low, expected.high, expected.se, 19, 20))
    )
    assert found["high"] < 0  # a linear truth: the line beats the mean
    means = summary(scores, "r2").set_index("model")
    assert means.loc["linear", "mean"] == pytest.approx(
        scores.query("model == 'linear' and metric == 'r2'")["value"].mean()
    )
    with pytest.raises(ValueError, match="no model 'forest'.*mean, linear, ridge"):
        paired(scores, "forest")
    with pytest.raises(ValueError, match="no scores for metric 'rmse': there are mae, r2"):
        paired(scores, "mean", "rmse")
    with pytest.raises(ValueError, match="model 'linear' has no score on some splits"):
        paired(scores.drop(scores.query("model == 'linear' and fold == 2").index), "mean")
