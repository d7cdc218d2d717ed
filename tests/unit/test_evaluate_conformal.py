"""Conformal intervals, recalibration and the bootstrap: by hand, against other packages, and against known truths."""

import numpy as np
import pandas as pd
import pytest
from mapie.regression import SplitConformalRegressor
from scipy import stats
from scipy.special import expit, logit
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold, LeaveOneOut, RepeatedKFold, ShuffleSplit
from sklearn.neighbors import KNeighborsRegressor

from course_lib.evaluate import (
    IsotonicCDF,
    SigmaScaler,
    TemperatureScaler,
    auroc,
    bootstrap_interval,
    conformal_intervals,
    log_loss,
    mae,
    mean_squared_z,
    miscalibration_area,
    nll,
    r2,
)
from course_lib.evaluate.conformal import METHODS
from course_lib.splits import LeakError


class LineWithSpread(RegressorMixin, BaseEstimator):
    """Least squares in the first column; the second column is told as standard deviation."""

    def fit(self, X, y):
        self.fit_ = LinearRegression().fit(X[:, :1], y)
        return self

    def predict(self, X, return_std=False):
        mean = self.fit_.predict(X[:, :1])
        return (mean, X[:, 1]) if return_std else mean


class CarbonCount(RegressorMixin, BaseEstimator):
    """A model of SMILES, to stand for the graph models: least squares in the number of C."""

    def fit(self, X, y):
        assert X.ndim == 1
        assert X.dtype.kind == "U"
        self.fit_ = LinearRegression().fit(self._count(X), y)
        return self

    def predict(self, X, return_std=False):
        mean = self.fit_.predict(self._count(X))
        return (mean, np.ones(len(X))) if return_std else mean

    @staticmethod
    def _count(X):
        return np.array([[smiles.count("C")] for smiles in X], dtype=float)


def data(n, seed=0, noise=1.0):
    """Draw x and a spread, and y about a line."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.uniform(-2, 2, n), rng.uniform(0.3, 2, n)])
    return X, 3 * X[:, 0] + noise * X[:, 1] * rng.normal(size=n)


# ----------------------------------------------------------------------------------------------------------- by hand
def jackknife_plus(X, y, X_new, level):
    """Barber et al., eq. 2.5: the ranks among prediction ± residual of the models that leave one out."""
    n = len(y)
    low, high = [], []
    for k in range(n):
        others = np.arange(n) != k
        model = LinearRegression().fit(X[others], y[others])
        residual = abs(y[k] - model.predict(X[k : k + 1])[0])
        low.append(model.predict(X_new) - residual)
        high.append(model.predict(X_new) + residual)
    below, above = int(np.floor((n + 1) * (1 - level) + 1e-9)), int(np.ceil((n + 1) * level - 1e-9))
    return np.sort(low, axis=0)[below - 1], np.sort(high, axis=0)[above - 1]


@pytest.mark.parametrize(("n", "level"), [(12, 0.8), (12, 0.9), (9, 0.9), (19, 0.9), (4, 0.8)])
def test_jackknife_plus_by_hand(n, level):
    """Also at the smallest n that a level allows, and where a rank is a whole number (19 and 0.9)."""
    X, y = data(n)
    X_new = data(7, 1)[0]
    found = conformal_intervals(LinearRegression(), X, y, X_new, method="jackknife+", level=level)
    low, high = jackknife_plus(X, y, X_new, level)
    np.testing.assert_allclose(found["low"], low)
    np.testing.assert_allclose(found["high"], high)


def test_cv_plus_of_single_rows_is_jackknife_plus():
    X, y = data(12)
    left = conformal_intervals(LinearRegression(), X, y, X, method="cv+", level=0.8, cv=LeaveOneOut())
    right = conformal_intervals(LinearRegression(), X, y, X, method="jackknife+", level=0.8)
    pd.testing.assert_frame_equal(left, right)


def test_split_by_hand_and_by_mapie():
    X, y = data(50)
    X_new, cv = data(20, 1)[0], ShuffleSplit(1, test_size=20, random_state=3)
    train, rest = next(cv.split(X))
    model = LinearRegression().fit(X[train], y[train])
    found = conformal_intervals(LinearRegression(), X, y, X_new, method="split", level=0.9, cv=cv)
    half = np.sort(np.abs(y[rest] - model.predict(X[rest])))[18]  # ceil(21 * 0.9) = 19th of 20
    np.testing.assert_allclose(found["high"] - found["mean"], half)
    np.testing.assert_allclose(found["mean"] - found["low"], half)
    reference = SplitConformalRegressor(model, confidence_level=0.9).conformalize(X[rest], y[rest])
    mean, bounds = reference.predict_interval(X_new)
    np.testing.assert_allclose(found, np.column_stack([mean, bounds[:, :, 0]]))


def test_normalised_intervals_are_as_wide_as_the_model_says():
    X, y = data(60)
    found = conformal_intervals(LineWithSpread(), X, y, X, method="split normalised")
    width = found["high"] - found["low"]
    np.testing.assert_allclose(width / X[:, 1], width[0] / X[0, 1])


# ---------------------------------------------------------------------------------------------------------- coverage
def hits(method, estimator, n, level, repeats, told=None, cv=None):
    """Of one new molecule for each draw of the data: independent trials, so the count is binomial."""
    inside = 0
    for seed in range(repeats):
        X, y = data(n + 1, seed)
        if told is not None:
            X[:, 1] = told
        found = conformal_intervals(
            estimator, X[:n], y[:n], X[n:], method=method, level=level, cv=cv, random_state=seed
        )
        inside += found["low"][0] <= y[n] <= found["high"][0]
    return inside


@pytest.mark.parametrize("method", ["split", "split normalised"])
@pytest.mark.parametrize("told", [None, 1e-3])
def test_split_covers_its_level(method, told):
    """With m = 19 calibration molecules and level 0.9 it is exactly 18/20, for a right and for an absurd spread."""
    inside = hits(method, LineWithSpread(), 63, 0.9, 200, told)
    low, high = stats.binom.interval(0.999, 200, 0.9)
    assert low <= inside <= high


@pytest.mark.parametrize(
    ("method", "estimator", "cv"), [("cv+", LinearRegression(), 4), ("jackknife+", KNeighborsRegressor(1), None)]
)
def test_plus_methods_cover_about_their_level_and_more_than_they_promise(method, estimator, cv):
    """Barber et al. find them within a few per cent of the level; what they promise is 1 - 2 alpha."""
    inside = hits(method, estimator, 12, 0.8, 80, cv=cv)
    assert inside >= stats.binom.interval(0.999, 80, 0.8)[0] > 0.6 * 80
    assert inside <= stats.binom.interval(0.999, 80, 0.9)[1]


def test_coverage_breaks_when_molecules_are_not_exchangeable():
    X, y = data(200)
    far = X[:, 0] > 1
    curved = y + 3 * np.maximum(X[:, 0] - 1, 0) ** 2 * 10
    found = conformal_intervals(LinearRegression(), X[~far], curved[~far], X[far], method="cv+", level=0.9)
    assert np.mean((found["low"] <= curved[far]) & (curved[far] <= found["high"])) < 0.75


# ------------------------------------------------------------------------------------------------- groups and inputs
def test_molecules_stay_whole():
    X, y = data(40)
    groups = np.repeat(np.arange(20), 2)
    with pytest.raises(LeakError, match="both sides"):
        conformal_intervals(LinearRegression(), X, y, X, cv=KFold(5, shuffle=True, random_state=0), groups=groups)
    cv = ShuffleSplit(1, random_state=0)
    with pytest.raises(LeakError, match="both sides"):
        conformal_intervals(LinearRegression(), X, y, X, method="split", cv=cv, groups=groups)
    for method in METHODS:
        found = conformal_intervals(LineWithSpread(), X, y, X, method=method, level=0.8, groups=groups)
        assert np.isfinite(found).all(axis=None)
    # each pair twice the same: a model that saw the twin would know the answer, and intervals would have no width
    twins, values = np.repeat(X[:20], 2, axis=0), np.repeat(y[:20], 2)
    found = conformal_intervals(KNeighborsRegressor(1), twins, values, X[20:], groups=groups, method="jackknife+")
    assert (found["high"] - found["low"]).min() > 1


@pytest.mark.parametrize("method", METHODS)
def test_smiles_go_through_to_the_model(method):
    smiles = np.array(["C" * k for k in range(1, 31)])
    y = 2.0 * np.arange(1, 31) + np.random.default_rng(0).normal(size=30)
    found = conformal_intervals(CarbonCount(), smiles, y, smiles[:5], method=method, level=0.8)
    assert list(found) == ["mean", "low", "high"]
    np.testing.assert_allclose(found["mean"], y[:5], atol=4)
    again = conformal_intervals(CarbonCount(), smiles.tolist(), y.tolist(), pd.Series(smiles[:5]).to_numpy(),
                                method=method, level=0.8)  # fmt: skip
    pd.testing.assert_frame_equal(found, again)


def test_tables_keep_their_columns_and_a_seed_is_a_seed():
    X, y = data(40)
    table = pd.DataFrame(X, columns=["a", "b"])
    for method in ("cv+", "split"):
        first = conformal_intervals(LinearRegression(), table, y, table, method=method, random_state=1)
        plain = conformal_intervals(LinearRegression(), X, y, X, method=method, random_state=1)
        other = conformal_intervals(LinearRegression(), X, y, X, method=method, random_state=2)
        pd.testing.assert_frame_equal(first, plain)
        assert not first.equals(other)


def test_the_estimator_given_stays_unfitted():
    X, y = data(30)
    model = LinearRegression()
    for method in ("split", "cv+"):
        conformal_intervals(model, X, y, X, method=method, level=0.8)
    assert not hasattr(model, "coef_")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "naive"}, "method is 'naive': choose from jackknife"),
        ({"level": 1.0}, "level is 1.0"),
        ({"level": 0.97}, "30 calibration molecules are too few for a level of 0.97: it takes at least 33"),
        ({"method": "split", "level": 0.95}, "9 calibration molecules are too few.*at least 19"),
        ({"method": "jackknife+", "groups": np.repeat([0, 1, 2], 10)}, "3 calibration molecules are too few"),
        ({"method": "jackknife+", "cv": 5}, "takes no cv"),
        ({"cv": ShuffleSplit(5, random_state=0)}, "exactly once"),
        ({"cv": RepeatedKFold(random_state=0)}, "exactly once"),
        ({"y": np.ones(29)}, "X has 30 rows, y 29"),
        ({"groups": np.ones(3)}, "groups 3"),
        ({"y": np.r_[np.nan, np.ones(29)]}, "row 0: y is nan"),
    ],
)
def test_intervals_refuse_what_cannot_be(change, message):
    X, y = data(30)
    given = {"X": X, "y": y, "X_new": X, "level": 0.9} | change
    with pytest.raises(ValueError, match=message):
        conformal_intervals(LinearRegression(), **given)


def test_normalised_needs_a_positive_spread():
    X, y = data(40)
    X[:, 1] = 0
    with pytest.raises(ValueError, match="y_std is 0.0"):
        conformal_intervals(LineWithSpread(), X, y, X, method="split normalised")


def test_works_for_a_gaussian_process():
    X, y = data(40)
    model = GaussianProcessRegressor(RBF() + WhiteKernel(), normalize_y=True)
    for method in ("split normalised", "cv+"):
        found = conformal_intervals(model, X, y, X, method=method, cv=None if "split" in method else 4)
        assert (found["low"] < found["high"]).all()


# ----------------------------------------------------------------------------------------------------- recalibration
def overconfident(n, seed=0, factor=0.4):
    rng = np.random.default_rng(seed)
    mean, std = rng.normal(0, 5, n), rng.uniform(0.5, 2, n)
    return rng.normal(mean, std), mean, factor * std


def test_sigma_scaler_finds_the_factor_and_is_the_best_one():
    y, mean, std = overconfident(4000)
    scaler = SigmaScaler().fit(y, mean, std)
    assert scaler.factor_ == pytest.approx(2.5, rel=4 / np.sqrt(2 * 4000))
    same, corrected = scaler.predict(mean, std)
    assert mean_squared_z(y, same, corrected) == pytest.approx(1)
    best = nll(y, same, corrected)
    assert best < min(nll(y, mean, corrected * 1.02), nll(y, mean, corrected / 1.02))
    new = overconfident(1000, seed=1)
    assert miscalibration_area(new[0], *scaler.predict(*new[1:])) < 0.03 < miscalibration_area(*new)


def test_standard_error_of_the_factor_at_small_n_is_as_stated():
    factors = [SigmaScaler().fit(*overconfident(20, seed)).factor_ for seed in range(400)]
    assert np.std(factors) / 2.5 == pytest.approx(1 / np.sqrt(40), rel=0.15)


def test_isotonic_curve_mends_a_shift_and_a_skew():
    rng = np.random.default_rng(0)

    def skewed(n):
        return rng.gumbel(2, 1, n), np.zeros(n), np.full(n, 1.0)

    curve = IsotonicCDF().fit(*skewed(4000))
    new = skewed(4000)
    assert stats.kstest(curve.cdf(*new), "uniform").statistic < 0.04
    assert stats.kstest(stats.norm.cdf(new[0]), "uniform").statistic > 0.5
    levels = np.array([0.05, 0.5, 0.95])
    quantiles = curve.predict(*new[1:], levels)
    assert quantiles.shape == (4000, 3)
    np.testing.assert_allclose(quantiles[0], stats.gumbel_r.ppf(levels, 2), atol=0.15)
    np.testing.assert_allclose((new[0][:, None] < quantiles).mean(axis=0), levels, atol=0.02)


def test_isotonic_curve_and_its_quantiles_are_inverse():
    curve = IsotonicCDF().fit(*overconfident(30))
    levels = np.linspace(1 / 31, 30 / 31, 17)
    quantiles = curve.predict([2.0], [3.0], levels)[0]
    assert (np.diff(quantiles) > 0).all()
    np.testing.assert_allclose(curve.cdf(quantiles, np.full(17, 2.0), np.full(17, 3.0)), levels)


def test_few_molecules_say_nothing_of_the_tails():
    curve = IsotonicCDF().fit(*overconfident(9))
    curve.predict([0.0], [1.0], [0.1, 0.9])
    with pytest.raises(ValueError, match=r"level 0.95 lies outside \[0.1, 0.9\].*9 calibration molecules"):
        curve.predict([0.0], [1.0], [0.05 + 0.05, 0.95])


def test_temperature_finds_the_stretch_and_is_the_best_one():
    rng = np.random.default_rng(0)
    true = rng.uniform(0.02, 0.98, 20000)
    y, told = (rng.random(20000) < true).astype(int), expit(2.5 * logit(true))
    scaler = TemperatureScaler().fit(y, told)
    assert scaler.temperature_ == pytest.approx(2.5, rel=0.05)
    best = log_loss(y, scaler.predict(told))
    for other in (0.97, 1.03):
        assert best < log_loss(y, expit(logit(told) / (other * scaler.temperature_)))
    assert scaler.predict([0.0, 0.5, 1.0]).tolist() == [0, 0.5, 1]


@pytest.mark.parametrize(
    ("fit", "message"),
    [
        (lambda: SigmaScaler().fit([1.0], [1.0], [0.0]), "y_std is 0.0"),
        (lambda: SigmaScaler().fit([1.0, 2.0], [1.0, 2.0], [1.0, 1.0]), "all errors are 0"),
        (lambda: SigmaScaler().predict([1.0], [1.0]), "not fitted"),
        (lambda: IsotonicCDF().predict([1.0], [1.0], [0.5]), "not fitted"),
        (lambda: TemperatureScaler().predict([0.5]), "not fitted"),
        (lambda: TemperatureScaler().fit([0, 1], [0.2, 1.0]), "row 1: p is 1.*Clip"),
        (lambda: TemperatureScaler().fit([1, 1], [0.2, 0.4]), "both classes"),
        (lambda: TemperatureScaler().fit([0, 1], [0.2, 0.8]), "right side"),
        (lambda: TemperatureScaler().fit([1, 0], [0.2, 0.8]), "no temperature helps"),
    ],
)
def test_recalibration_refuses_what_cannot_be(fit, message):
    with pytest.raises(ValueError, match=message):
        fit()


# --------------------------------------------------------------------------------------------------------- bootstrap
def test_bootstrap_of_a_mean_covers_the_truth():
    """Samples of 40, nominal 90 %. The interval is that of a normal with the standard deviation of the sample, which
    falls a little short of the t interval; its coverage is known in closed form.
    """
    inside = 0
    for seed in range(200):
        y = np.random.default_rng(seed).normal(5, 2, 40)
        inside += 5 in bootstrap_interval(np.mean, y, level=0.9, n_boot=200, random_state=seed)
    expected = 1 - 2 * stats.t.sf(stats.norm.ppf(0.95) * np.sqrt(39 / 40), 39)
    low, high = stats.binom.interval(0.999, 200, expected)
    assert low <= inside <= high


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_bootstrap_agrees_with_scipy(method):
    """Skewed values. With 20 000 resamples each, the two differ by chance by 0.03 to 0.07 standard errors."""
    y = np.random.default_rng(0).exponential(size=25)
    ours = bootstrap_interval(np.mean, y, n_boot=20_000, method=method)
    reference = stats.bootstrap(
        (y,), np.mean, vectorized=True, n_resamples=20_000, method=method, random_state=np.random.default_rng(1)
    )
    assert ours.estimate == y.mean()
    assert ours.se == pytest.approx(reference.standard_error, rel=0.03)
    ends = np.array([ours.low, ours.high])
    np.testing.assert_allclose(ends, reference.confidence_interval, atol=0.15 * ours.se)
    if method == "bca":  # and the correction is larger than what the comparison lets through
        plain = bootstrap_interval(np.mean, y, n_boot=20_000)
        assert (ends - [plain.low, plain.high]).min() > 0.15 * ours.se


def test_whole_molecules_are_drawn():
    """Ten rows a molecule, all the same: by row the interval is too narrow by the root of ten."""
    rng = np.random.default_rng(0)
    y, groups = np.repeat(rng.normal(size=30), 10), np.repeat([f"M{k}" for k in range(30)], 10)
    whole = bootstrap_interval(np.mean, y, groups=groups)
    assert whole.se == pytest.approx(y[::10].std() / np.sqrt(30), rel=0.08)
    assert whole.se / bootstrap_interval(np.mean, y).se == pytest.approx(np.sqrt(10), rel=0.1)
    order = rng.permutation(300)
    assert bootstrap_interval(np.mean, y[order], groups=groups[order]).se == pytest.approx(whole.se)


def test_bootstrap_is_repeatable():
    y = np.random.default_rng(0).normal(size=(2, 30))
    first = bootstrap_interval(r2, *y, n_boot=50, random_state=1)
    again = bootstrap_interval(r2, *y, n_boot=50, random_state=1)
    assert (first.low, first.high) == (again.low, again.high)
    assert first.low != bootstrap_interval(r2, *y, n_boot=50, random_state=2).low


def test_draws_of_one_class_are_left_out_when_rare_and_refused_when_common():
    p = np.random.default_rng(0).random(40)
    y = np.zeros(40)
    y[:5] = 1  # no 1 drawn: (35/40)^40 = 0.5 %
    interval = bootstrap_interval(auroc, y, p, n_boot=400)
    assert 0 <= interval.low < interval.high <= 1
    y[1:5] = 0  # now 36 %
    with pytest.raises(ValueError, match="not defined in .* of 400 resamples"):
        bootstrap_interval(auroc, y, p, n_boot=400)


@pytest.mark.parametrize(
    ("given", "change", "message"),
    [
        (([1.0, 2.0], [1.0]), {}, "one length"),
        (([1.0], [1.0]), {}, "1 molecules: at least 2"),
        (([1.0, 2.0], [1.0, 2.0]), {"groups": [0, 0]}, "1 molecules"),
        (([1.0, 2.0], [1.0, 2.0]), {"groups": [0]}, "one label a row"),
        (([1.0, 2.0], [1.0, 2.0]), {"level": 95}, "level is 95"),
        (([1.0, 2.0], [1.0, 2.0]), {"method": "t"}, "method is 't'"),
        ((), {}, "0 molecules"),
    ],
)
def test_bootstrap_refuses_bad_input(given, change, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(mae, *given, **change)
