"""Scores of predicted distributions: closed forms, other packages, and what a perfect model would get."""

import numpy as np
import pytest
import uncertainty_toolbox as uct
from scipy import integrate, stats

from course_lib import evaluate
from course_lib.evaluate import (
    calibration_curve,
    coverage,
    crps,
    dionysus_ama,
    error_rank_correlation,
    interval_score,
    mean_squared_z,
    miscalibration_area,
    nll,
    perfect_reference,
    sharpness,
    z_scores,
)

SCORES = [z_scores, mean_squared_z, nll, crps, interval_score, coverage, miscalibration_area, dionysus_ama]


def truth(n=200, seed=0, told=1.0):
    """Draw n outcomes and the prediction of a model that tells `told` times the true spread."""
    rng = np.random.default_rng(seed)
    mean, std = rng.normal(300, 50, n), rng.uniform(2, 20, n)
    return rng.normal(mean, std), mean, told * std


# -------------------------------------------------------------------------------------------------------- closed forms
def test_crps_is_its_integral():
    y, mean, std = truth(5)
    expected = [
        integrate.quad(lambda x, y=y, m=m, s=s: (stats.norm.cdf(x, m, s) - (x >= y)) ** 2, -np.inf, y, epsabs=1e-10)[0]
        + integrate.quad(lambda x, y=y, m=m, s=s: (stats.norm.cdf(x, m, s) - 1) ** 2, y, np.inf, epsabs=1e-10)[0]
        for y, m, s in zip(y, mean, std, strict=True)
    ]
    assert crps(y, mean, std) == pytest.approx(np.mean(expected), rel=1e-6)


def test_crps_of_a_certain_model_is_the_mean_absolute_error():
    y, mean, _ = truth()
    assert crps(y, mean, np.full(len(y), 1e-9)) == pytest.approx(evaluate.mae(y, mean))


def test_nll_by_hand_and_lowest_at_the_truth():
    assert nll([3.0], [1.0], [2.0]) == pytest.approx(0.5 * np.log(2 * np.pi) + np.log(2) + 0.5)
    y, mean, std = truth(5000)
    assert nll(y, mean, std) == pytest.approx(np.mean(np.log(std)) + 0.5 + 0.5 * np.log(2 * np.pi), abs=0.03)
    for score in (nll, crps, interval_score):  # proper scores: neither a larger nor a smaller spread pays
        assert score(y, mean, std) < min(score(y, mean, 0.7 * std), score(y, mean, 1.4 * std))


def test_small_scores_by_hand():
    y, mean, std = [1.0, 4.0, 0.0], [0.0, 0.0, 0.0], [1.0, 2.0, 1.0]
    assert z_scores(y, mean, std).tolist() == [1, 2, 0]
    assert mean_squared_z(y, mean, std) == pytest.approx(5 / 3)
    assert sharpness(std) == pytest.approx(np.sqrt(2))
    assert coverage(y, mean, std, 0.9) == pytest.approx(2 / 3)  # z = 2 lies outside 1.645
    half = stats.norm.ppf(0.95)
    expected = np.mean([2 * half, 4 * half + 20 * (4 - 2 * half), 2 * half])
    assert interval_score(y, mean, std, 0.9) == pytest.approx(expected)


def test_calibration_curve_by_hand():
    z = stats.norm.ppf([0.1, 0.3, 0.55, 0.9])
    one, zero = np.ones(4), np.zeros(4)
    expected, observed = calibration_curve(z, zero, one, [0.2, 0.5, 0.85], kind="quantile")
    assert (expected.tolist(), observed.tolist()) == ([0.2, 0.5, 0.85], [0.25, 0.5, 0.75])
    # central levels that these z just reach: 0.8, 0.4, 0.1, 0.8
    assert calibration_curve(z, zero, one, [0.05, 0.2, 0.5, 0.9])[1].tolist() == [0, 0.25, 0.5, 1]


@pytest.mark.parametrize("told", [1e-9, 1e9])
def test_area_of_a_hopeless_model_is_nearly_one_half(told):
    y, mean, std = truth()
    for levels in (99, 999):  # a triangle of height 1, less the corner that the outermost level cuts off
        assert miscalibration_area(y, mean, told * std, levels) == pytest.approx(0.5 * levels / (levels + 1))
    assert dionysus_ama(y, mean, told * std) == pytest.approx(0.5 - 5 / 108)


@pytest.mark.parametrize("told", [0.4, 2.5])
def test_areas_of_a_large_set_are_those_of_the_true_curve(told):
    y, mean, std = truth(200_000, told=told)

    def gap(level):
        return np.abs(2 * stats.norm.cdf(told * stats.norm.ppf((1 + level) / 2)) - 1 - level)

    expected = integrate.quad(gap, 0, 1)[0]
    assert miscalibration_area(y, mean, std, 999) == pytest.approx(expected, abs=0.003)
    ten = simpson_until_scipy_1_10(np.r_[gap(np.linspace(0, 1, 10)[:-1]), 0])
    assert dionysus_ama(y, mean, std, n_boot=0) == pytest.approx(ten, abs=0.003)


def test_only_the_quantile_curve_sees_a_shift():
    """A shift of one sigma, told with the spread that makes intervals right on average."""
    rng = np.random.default_rng(0)
    y, std = rng.normal(1, 1, 20000), np.full(20000, 1.0)
    best = min(np.linspace(1, 2, 41), key=lambda s: miscalibration_area(y, 0 * y, s * std))
    assert miscalibration_area(y, 0 * y, best * std) < 0.02
    assert miscalibration_area(y, 0 * y, best * std, kind="quantile") > 0.15


def test_rank_correlation_of_equal_spreads_is_not_a_number():
    y, mean, std = truth()
    assert np.isnan(error_rank_correlation(y, mean, np.full(len(y), 3.0))).all()
    found = error_rank_correlation(mean + std * np.where(y > mean, 2, -2), mean, std)
    assert found.spearman == pytest.approx(1)
    assert found.kendall == pytest.approx(1)


# ------------------------------------------------------------------------------------------------------ other packages
def test_scores_agree_with_uncertainty_toolbox():
    y, mean, std = truth(120, told=0.7)
    assert nll(y, mean, std) == pytest.approx(uct.nll_gaussian(mean, std, y))
    assert crps(y, mean, std) == pytest.approx(uct.crps_gaussian(mean, std, y))
    assert sharpness(std) == pytest.approx(uct.sharpness(std))
    levels = np.linspace(0.01, 0.99, 99)
    assert np.mean([interval_score(y, mean, std, level) for level in levels]) == pytest.approx(
        uct.interval_score(mean, std, y)
    )


@pytest.mark.parametrize("kind", ["interval", "quantile"])
def test_curve_and_area_agree_with_uncertainty_toolbox(kind):
    y, mean, std = truth(120, told=0.7)
    # it takes y_mean - y where we take y - y_mean: mirror the errors, so that both mean the same quantiles
    expected, observed = uct.get_proportion_lists_vectorized(2 * y - mean, std, y, num_bins=101, prop_type=kind)
    ours = calibration_curve(y, mean, std, 99, kind)
    np.testing.assert_allclose(ours[0], expected[1:-1])
    np.testing.assert_allclose(ours[1], observed[1:-1])
    area = uct.miscalibration_area(2 * y - mean, std, y, num_bins=1001, prop_type=kind)
    # the two differ only where the curve crosses the diagonal between two levels
    assert miscalibration_area(y, mean, std, 999, kind) == pytest.approx(area, abs=2e-4)


def test_rank_correlation_is_scipys():
    y, mean, std = truth(50)
    found = error_rank_correlation(y, mean, std)
    assert found.spearman == pytest.approx(stats.spearmanr(np.abs(y - mean), std)[0])
    assert found.kendall == pytest.approx(stats.kendalltau(np.abs(y - mean), std)[0])


# ------------------------------------------------------------------------------------------------------------ DIONYSUS
def simpson_until_scipy_1_10(values):
    """Integrate ten values on [0, 1], the odd interval by a trapezium at either end."""
    x = np.linspace(0, 1, 10)
    first = integrate.simpson(values[:9], x=x[:9]) + integrate.trapezoid(values[8:], x[8:])
    last = integrate.trapezoid(values[:2], x[:2]) + integrate.simpson(values[1:], x=x[1:])
    return (first + last) / 2


def test_dionysus_ama_of_the_sample_is_simpsons_rule_over_ten_levels():
    y, mean, std = truth(60, told=0.6)
    q = np.linspace(0, 1, 10)
    inside = np.array([np.mean(np.abs((y - mean) / std) < stats.norm.ppf((1 + level) / 2)) for level in q])
    assert (inside[0], inside[-1]) == (0, 1)  # met by every model
    assert dionysus_ama(y, mean, std, n_boot=0) == pytest.approx(simpson_until_scipy_1_10(np.abs(inside - q)))


def test_dionysus_ama_is_a_mean_over_resamples():
    y, mean, std = truth(40, told=0.6)
    rng = np.random.default_rng(3)
    draws = [rng.integers(40, size=40) for _ in range(20)]
    expected = np.mean([dionysus_ama(y[i], mean[i], std[i], n_boot=0) for i in draws])
    assert dionysus_ama(y, mean, std, n_boot=20, random_state=3) == pytest.approx(expected)


def test_resampling_makes_a_perfect_model_look_worse_by_about_the_square_root_of_two():
    plain = perfect_reference(dionysus_ama, 112, n_boot=0).mean()
    printed = perfect_reference(dionysus_ama, 112, n_boot=20, n_sim=200).mean()
    assert printed / plain == pytest.approx(np.sqrt(2), rel=0.08)


# -------------------------------------------------------------------------------------------------- perfect reference
def test_area_of_a_perfect_model_has_the_known_mean_and_falls_with_the_square_root_of_n():
    for n in (50, 112, 400):
        area = perfect_reference(miscalibration_area, n)
        error = area.std() / np.sqrt(len(area))
        # 4 standard errors, and what 99 levels miss of the steps
        assert area.mean() == pytest.approx(np.sqrt(np.pi / 32 / n), abs=4 * error + 0.0005)
    assert 0.028 < perfect_reference(miscalibration_area, 112).mean() < 0.031


def test_mean_squared_z_of_a_perfect_model_is_a_scaled_chi_square():
    found = perfect_reference(mean_squared_z, 30)
    assert stats.kstest(30 * found, stats.chi2(30).cdf).pvalue > 0.001


def test_coverage_of_a_perfect_model_is_binomial():
    hits = 40 * perfect_reference(coverage, 40, level=0.8)
    assert hits.mean() == pytest.approx(32, abs=4 * np.sqrt(40 * 0.8 * 0.2 / 1000))
    assert hits.std() == pytest.approx(np.sqrt(40 * 0.8 * 0.2), rel=0.1)


def test_a_perfect_model_lies_above_its_95th_percentile_one_time_in_twenty():
    """Over 400 test sets; the binomial limits hold 99.9 % of the time, and the seed was not chosen."""
    limit = np.quantile(perfect_reference(miscalibration_area, 60), 0.95)
    above = sum(miscalibration_area(*truth(60, seed)) > limit for seed in range(400))
    low, high = stats.binom.interval(0.999, 400, 0.05)
    assert low <= above <= high


@pytest.mark.parametrize("told", [0.5, 2.0])
def test_over_and_underconfident_models_fall_outside(told):
    limit = np.quantile(perfect_reference(miscalibration_area, 100), 0.95)
    assert np.mean([miscalibration_area(*truth(100, seed, told)) > limit for seed in range(50)]) > 0.95
    z2 = np.quantile(perfect_reference(mean_squared_z, 100), [0.025, 0.975])
    found = mean_squared_z(*truth(100, 0, told))
    assert found > z2[1] if told < 1 else found < z2[0]


def test_rank_correlation_of_a_perfect_model_is_below_one_and_around_zero_for_equal_spreads():
    std = np.random.default_rng(0).uniform(2, 20, 60)
    found = perfect_reference(error_rank_correlation, y_std=std, n_sim=200)
    assert found.shape == (200, 2)
    assert 0.2 < found[:, 0].mean() < 0.8
    assert np.isnan(perfect_reference(error_rank_correlation, 60, n_sim=5)).all()


def test_reference_of_crps_needs_the_spreads():
    std = np.full(50, 3.0)
    found = perfect_reference(crps, y_std=std)
    assert found.mean() == pytest.approx(3 / np.sqrt(np.pi), rel=0.03)  # E|X - X'| / 2
    assert perfect_reference(crps, 50).mean() == pytest.approx(found.mean() / 3)


def test_reference_is_repeatable_kept_and_read_only():
    first = perfect_reference(miscalibration_area, 20, n_sim=50, random_state=1)
    assert perfect_reference(miscalibration_area, 20, n_sim=50, random_state=1) is first
    assert not np.array_equal(perfect_reference(miscalibration_area, 20, n_sim=50, random_state=2), first)
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 0


def test_reference_is_independent_of_outcomes_drawn_with_the_same_seed():
    y = np.random.default_rng(0).normal(size=50)
    found = perfect_reference(lambda simulated, mean, std: np.corrcoef(simulated, y)[0, 1], 50, n_sim=20)
    assert np.abs(found).max() < 0.7


# ---------------------------------------------------------------------------------------------------------- bad input
@pytest.mark.parametrize("score", [*SCORES, error_rank_correlation, calibration_curve])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        (([1.0, 2.0], [1.0], [1.0, 1.0]), "y_mean has 1 values for 2 molecules"),
        (([1.0, 2.0], [1.0, 2.0], [1.0, 0.0]), r"row 1: y_std is 0.0 \(1 such rows\).*above 0"),
        (([1.0, np.nan], [1.0, 2.0], [1.0, 1.0]), r"row 1: y is nan \(1 such rows\)"),
        (([1.0, 2.0], [1.0, np.inf], [1.0, 1.0]), "row 1: y_mean is inf"),
        (([], [], []), r"y has shape \(0,\)"),
        (([[1.0]], [[1.0]], [[1.0]]), r"y has shape \(1, 1\)"),
    ],
)
def test_scores_refuse_bad_input(score, given, message):
    with pytest.raises(ValueError, match=message):
        score(*given)


def test_levels_and_kinds_are_checked():
    y, mean, std = truth(10)
    for level in (0, 1, 95):
        with pytest.raises(ValueError, match=f"level is {level}"):
            coverage(y, mean, std, level)
    for levels in ([0.0, 0.5], [0.5, 1.0], [0.5, 0.4], []):
        with pytest.raises(ValueError, match="strictly inside"):
            calibration_curve(y, mean, std, levels)
    with pytest.raises(ValueError, match="levels is 0"):
        miscalibration_area(y, mean, std, 0)
    with pytest.raises(ValueError, match="kind is 'both'"):
        miscalibration_area(y, mean, std, kind="both")


@pytest.mark.parametrize("given", [{}, {"n": 5, "p": [0.5]}, {"n": 5, "y_std": [1.0]}])
def test_reference_wants_one_kind_of_prediction(given):
    with pytest.raises(ValueError, match="exactly one"):
        perfect_reference(miscalibration_area, **given)


def test_reference_wants_molecules():
    with pytest.raises(ValueError, match="n is 0"):
        perfect_reference(miscalibration_area, 0)
