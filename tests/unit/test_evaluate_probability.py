"""Scores of predicted probabilities: closed forms, scikit-learn, and what a perfect classifier would get."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, logit
from sklearn import metrics as reference
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression

from course_lib.evaluate import (
    auroc,
    brier,
    brier_decomposition,
    calibration_intercept_slope,
    dionysus_ece,
    ece,
    log_loss,
    mce,
    perfect_reference,
    reliability,
)

SCORES = [auroc, brier, brier_decomposition, calibration_intercept_slope, dionysus_ece, ece, log_loss, mce, reliability]


def truth(n=200, seed=0, stretch=1.0):
    """Draw n outcomes; the model tells log odds `stretch` times the true ones."""
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.02, 0.98, n)
    return (rng.random(n) < p).astype(int), expit(stretch * logit(p))


def test_scores_agree_with_scikit_learn():
    y, p = truth()
    assert brier(y, p) == pytest.approx(reference.brier_score_loss(y, p))
    assert log_loss(y, p) == pytest.approx(reference.log_loss(y, p))
    assert auroc(y, p) == pytest.approx(reference.roc_auc_score(y, p))


def test_log_loss_hides_no_impossible_event():
    assert log_loss([0, 1], [0.0, 1.0]) == 0
    assert log_loss([1, 1], [0.0, 1.0]) == np.inf


@pytest.mark.parametrize(("bins", "strategy"), [("fixed", "uniform"), ("adaptive", "quantile")])
def test_bins_are_scikit_learns(bins, strategy):
    y, p = truth()
    predicted, observed, count = reliability(y, p, bins, 7)
    expected = calibration_curve(y, p, n_bins=7, strategy=strategy)
    np.testing.assert_allclose((observed, predicted), expected)
    assert count.sum() == len(y)


def test_calibration_errors_by_hand():
    y, p = [0, 1, 1, 0, 1], [0.1, 0.2, 0.9, 0.8, 0.95]
    # two bins: (0 + 1)/2 - 0.15 = 0.35 of two, 2/3 - 2.65/3 = -0.65/3 of three
    assert ece(y, p, n_bins=2) == pytest.approx((2 * 0.35 + 0.65) / 5)
    assert mce(y, p, n_bins=2) == pytest.approx(0.35)
    assert ece(y, p, n_bins=1) == pytest.approx(abs(3 / 5 - np.mean(p)))
    assert ece([0, 1], [0.0, 1.0]) == 0
    assert ece([1, 0], [0.0, 1.0]) == 1


def test_adaptive_bins_hold_equal_numbers_and_never_part_equal_values():
    y, p = truth(100)
    assert reliability(y, p, "adaptive", 10)[2].tolist() == [10] * 10
    tied = np.repeat([0.2, 0.7], [90, 10])
    assert reliability(y, tied, "adaptive", 10)[0] == pytest.approx([0.2, 0.7])


def test_dionysus_ece_stretches_and_does_not_weigh():
    y = np.array([0, 1, 1, 0, 1, 1])
    p = np.array([0.4, 0.41, 0.43, 0.45, 0.58, 0.6])
    q = (p - 0.4) / 0.2  # 0, 0.05 | 0.15 | 0.25 | 0.9, 1
    gaps = [abs(0.5 - 0.025), abs(1 - q[2]), abs(0 - q[3]), abs(1 - q[4]), abs(1 - q[5])]
    assert dionysus_ece(y, p, n_boot=0) == pytest.approx(np.mean(gaps))
    rng = np.random.default_rng(1)
    draws = [rng.integers(6, size=6) for _ in range(5)]
    expected = np.mean([dionysus_ece(y[i], p[i], n_boot=0) for i in draws])
    assert dionysus_ece(y, p, n_boot=5, random_state=1) == pytest.approx(expected)


def test_stretching_hides_a_timid_model():
    """Told log odds a quarter of the true ones: the stretched error is the smaller one by far."""
    y, p = truth(20000, stretch=0.25)
    assert ece(y, p) > 0.15
    assert dionysus_ece(y, p, n_boot=0) < 0.5 * ece(y, p)


@pytest.mark.parametrize("bins", ["fixed", "adaptive"])
def test_brier_parts_sum_to_the_brier_score(bins):
    y, p = truth(stretch=2)
    parts = brier_decomposition(y, p, bins)
    assert parts.uncertainty == pytest.approx(np.var(y))
    total = parts.reliability - parts.resolution + parts.uncertainty + parts.within_variance - parts.within_covariance
    assert total == pytest.approx(brier(y, p), abs=1e-14)


def test_murphys_three_parts_are_enough_for_binned_forecasts():
    y, p = truth()
    p = np.round(p * 5) / 5 * 0.8 + 0.05  # six values, one a bin
    parts = brier_decomposition(y, p, n_bins=10)
    assert (parts.within_variance, parts.within_covariance) == pytest.approx((0, 0), abs=1e-15)
    assert parts.reliability - parts.resolution + parts.uncertainty == pytest.approx(brier(y, p))
    assert min(parts[:2]) > 0


# ------------------------------------------------------------------------------------------------ intercept and slope
def test_intercept_and_slope_find_a_known_truth():
    for stretch in (0.5, 1, 2):
        y, p = truth(40000, stretch=stretch)
        assert calibration_intercept_slope(y, p).slope == pytest.approx(1 / stretch, rel=0.05)
    y, p = truth(40000)
    assert calibration_intercept_slope(y, p).intercept == pytest.approx(0, abs=0.06)
    assert calibration_intercept_slope(y, expit(logit(p) + 0.7)).intercept == pytest.approx(-0.7, abs=0.06)


def test_slope_is_scikit_learns_without_penalty():
    y, p = truth(60, stretch=2)
    fit = LogisticRegression(C=np.inf, tol=1e-10).fit(logit(p)[:, None], y)
    assert calibration_intercept_slope(y, p).slope == pytest.approx(fit.coef_[0, 0], rel=1e-5)


def test_intercept_makes_the_mean_probability_right():
    y, p = truth(60, stretch=2)
    intercept = calibration_intercept_slope(y, p).intercept
    assert expit(logit(p) + intercept).mean() == pytest.approx(y.mean(), abs=1e-9)


@pytest.mark.parametrize("extreme", [1e-6, 1e-300])
def test_the_fit_converges_for_extreme_probabilities(extreme):
    y, p = [0, 1, 0, 1, 1, 0], [extreme, 1 - 1e-6, 0.4, 0.6, extreme, 0.5]
    found = calibration_intercept_slope(y, p)
    assert np.isfinite(found).all()
    x = logit(p)

    def mean_loss(slope):
        return min(np.mean(np.logaddexp(0, (1 - 2 * np.array(y)) * (a + slope * x))) for a in np.linspace(-3, 3, 601))

    assert mean_loss(found.slope) <= min(mean_loss(found.slope * 1.2), mean_loss(found.slope * 0.8))


@pytest.mark.parametrize(
    ("y", "p", "message"),
    [
        ([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4], "separates the two classes.*not finite"),
        ([1, 1, 0, 0], [0.1, 0.2, 0.3, 0.4], "separates"),
        ([0, 0, 1, 1], [0.1, 0.3, 0.3, 0.4], "separates"),  # they touch: still no finite slope
        ([1, 1, 1], [0.1, 0.2, 0.3], "both classes"),
        ([0, 1, 0], [0.1, 1.0, 0.3], "row 1: p is 1 .*Clip"),
        ([0, 1, 0], [0.3, 0.3, 0.3], "no slope"),
    ],
)
def test_a_fit_that_cannot_be_is_refused(y, p, message):
    with pytest.raises(ValueError, match=message):
        calibration_intercept_slope(y, p)


# -------------------------------------------------------------------------------------------------- perfect reference
def test_ten_bins_of_a_perfect_classifier_at_fifty_molecules():
    p = np.random.default_rng(0).random(50)
    assert perfect_reference(ece, p=p).mean() == pytest.approx(0.14, abs=0.01)
    assert perfect_reference(ece, p=p, n_bins=2).mean() < 0.08
    sure = np.where(p < 0.5, 0.01, 0.99)
    assert perfect_reference(ece, p=sure).mean() < 0.05  # it depends on where the p lie


def test_brier_and_log_loss_of_a_perfect_classifier_have_their_closed_form():
    _, p = truth(100)
    for score, mean in ((brier, p * (1 - p)), (log_loss, -p * np.log(p) - (1 - p) * np.log(1 - p))):
        found = perfect_reference(score, p=p)
        assert found.mean() == pytest.approx(mean.mean(), abs=4 * found.std() / np.sqrt(1000))


def test_a_perfect_classifier_is_rejected_one_time_in_twenty():
    """Over 200 test sets, each with its own probabilities; the p value of 99 simulations is exact."""
    rejected = 0
    for seed in range(200):
        y, p = truth(60, seed)
        beyond = np.sum(perfect_reference(ece, p=p, n_sim=99) >= ece(y, p))
        rejected += (1 + beyond) / 100 <= 0.05
    low, high = stats.binom.interval(0.999, 200, 0.05)
    assert low <= rejected <= high


def test_over_and_underconfident_classifiers_fall_outside():
    outside = dict.fromkeys((0.3, 4.0), 0)
    for stretch in outside:
        for seed in range(20):
            y, p = truth(200, seed, stretch)
            outside[stretch] += ece(y, p) > np.quantile(perfect_reference(ece, p=p, n_sim=100), 0.95)
            slope = calibration_intercept_slope(y, p).slope
            assert slope > 1.5 if stretch < 1 else slope < 0.6
    assert min(outside.values()) >= 19


def test_reference_of_intercept_and_slope():
    _, p = truth(150)
    found = perfect_reference(calibration_intercept_slope, p=p, n_sim=200)
    assert found.shape == (200, 2)
    assert np.median(found, axis=0) == pytest.approx([0, 1], abs=0.1)


def test_reference_is_nan_where_a_score_is_not_defined():
    found = perfect_reference(auroc, p=np.full(3, 0.5), n_sim=200)
    # of three coins, a quarter of the draws show one side only
    assert np.isnan(found).mean() == pytest.approx(0.25, abs=0.12)
    assert np.isfinite(found).any()


# ---------------------------------------------------------------------------------------------------------- bad input
@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(
    ("given", "message"),
    [
        (([0, 1], [0.5]), "p has 1 values for 2 molecules"),
        (([0, 2], [0.5, 0.5]), r"row 1: y is 2 \(1 such rows\). Code the classes as 0 and 1"),
        (([0, 1], [0.5, 1.2]), r"row 1: p is 1.2 \(1 such rows\)"),
        (([0, 1], [0.5, np.nan]), "row 1: p is nan"),
        (([], []), "y has shape"),
    ],
)
def test_scores_refuse_bad_input(score, given, message):
    with pytest.raises(ValueError, match=message):
        score(*given)


def test_bins_are_checked():
    y, p = truth(20)
    with pytest.raises(ValueError, match="bins is 'equal'"):
        ece(y, p, bins="equal")
    with pytest.raises(ValueError, match="n_bins is 0"):
        mce(y, p, n_bins=0)
    with pytest.raises(ValueError, match="both classes"):
        auroc([1, 1], [0.2, 0.4])
    with pytest.raises(ValueError, match="cannot be stretched"):
        dionysus_ece([0, 1], [0.4, 0.4])
