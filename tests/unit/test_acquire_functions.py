"""Acquisition functions: against quadrature, against BoTorch's analytic forms, and at the ends where formulas break."""

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.special import roots_laguerre
from scipy.stats import norm

from course_lib import acquire
from course_lib.acquire import (
    expected_improvement,
    greedy,
    log_expected_improvement,
    nearest_neighbour,
    probability_of_improvement,
    random,
    thompson,
    upper_confidence_bound,
    variance,
)

RNG = np.random.default_rng(0)
MEAN, STD = RNG.normal(size=40), RNG.uniform(0.05, 2, 40)
BEST = 0.7


@pytest.mark.parametrize("maximise", [True, False])
def test_expected_improvement_is_the_mean_of_the_gain(maximise):
    sign = 1 if maximise else -1
    for mean, std in zip(MEAN[:10], STD[:10], strict=True):
        density = norm(sign * mean, std).pdf
        upper = max(sign * BEST, sign * mean) + 12 * std
        by_quadrature, _ = quad(lambda f, p=density: (f - sign * BEST) * p(f), sign * BEST, upper, epsabs=1e-13)
        found = expected_improvement([mean], [std], BEST, maximise=maximise)
        assert found == pytest.approx([by_quadrature], abs=1e-11)


def test_probability_of_improvement_is_the_share_of_draws_above_the_best():
    draws = MEAN[:5] + STD[:5] * np.random.default_rng(1).standard_normal((400_000, 5))
    assert probability_of_improvement(MEAN[:5], STD[:5], BEST) == pytest.approx((draws > BEST).mean(axis=0), abs=4e-3)


def exact_log_tail(z: float) -> float:
    """Log of phi(z) + z Phi(z) for z < 0: phi(z) / z^2 times the mean of s exp(-s^2 / (2 z^2)) under exp(-s)."""
    s, weights = roots_laguerre(120)
    return norm.logpdf(z) - 2 * np.log(-z) + np.log(np.sum(weights * s * np.exp(-(s**2) / (2 * z**2))))


@pytest.mark.parametrize("z", [-6.0, -12.0, -40.0, -300.0, -999.0, -1001.0, -1e4, -1e6])
def test_log_expected_improvement_far_below_the_best(z):
    std = 0.3
    found = log_expected_improvement([BEST + z * std], [std], BEST)[0]
    # relative to a logarithm of up to 1e12; z itself is rounded in mean - best
    assert found == pytest.approx(np.log(std) + exact_log_tail(z), rel=1e-12, abs=1e-8)


def test_log_expected_improvement_is_the_logarithm_and_has_no_step():
    expected = np.log(expected_improvement(MEAN, STD, BEST))
    assert log_expected_improvement(MEAN, STD, BEST) == pytest.approx(expected, rel=1e-10)
    for edge in (-1.0, -1e3):
        around = edge + abs(edge) * np.array([-1e-9, 1e-9])
        below, above = log_expected_improvement(around, np.ones(2), 0.0)
        assert 0 < above - below < 4e-9 * edge**2


def test_expected_improvement_underflows_and_its_logarithm_still_ranks():
    mean, std = np.array([-60.0, -50.0, -45.0]), np.ones(3)
    assert (expected_improvement(mean, std, 0.0) == 0).all()
    assert (np.diff(log_expected_improvement(mean, std, 0.0)) > 0).all()


def test_certain_molecules():
    mean, std = [2.0, 1.0, 0.0], np.zeros(3)
    assert expected_improvement(mean, std, 1.0).tolist() == [1, 0, 0]
    assert log_expected_improvement(mean, std, 1.0).tolist() == [0, -np.inf, -np.inf]
    assert probability_of_improvement(mean, std, 1.0).tolist() == [1, 0, 0]
    assert upper_confidence_bound(mean, std).tolist() == mean


def known(model_of):
    """BoTorch's acquisition on a model whose posterior at x = (mean, std) is just that."""
    from botorch.models.model import Model
    from botorch.posteriors import GPyTorchPosterior
    from gpytorch.distributions import MultivariateNormal

    class Known(Model):
        num_outputs = 1

        def posterior(self, X, **options):
            return GPyTorchPosterior(MultivariateNormal(X[..., 0], torch.diag_embed(X[..., 1] ** 2)))

    X = torch.tensor(np.column_stack([MEAN, STD]))[:, None]
    return model_of(Known())(X).numpy()


@pytest.mark.filterwarnings("ignore:ExpectedImprovement has known numerical issues")
@pytest.mark.parametrize("maximise", [True, False])
def test_same_numbers_as_botorch(maximise):
    from botorch.acquisition import analytic

    common = {"best": BEST, "maximise": maximise}
    best, beta, zero = (torch.tensor(value, dtype=torch.double) for value in (BEST, 1.7**2, 0.0))
    pairs = {
        "EI": (expected_improvement, lambda m: analytic.ExpectedImprovement(m, best, maximize=maximise)),
        "log EI": (log_expected_improvement, lambda m: analytic.LogExpectedImprovement(m, best, maximize=maximise)),
        "PI": (probability_of_improvement, lambda m: analytic.ProbabilityOfImprovement(m, best, maximize=maximise)),
        # their beta multiplies the variance
        "UCB": (
            lambda *a, **o: upper_confidence_bound(*a, kappa=1.7, **o),
            lambda m: analytic.UpperConfidenceBound(m, beta=beta, maximize=maximise),
        ),
        "greedy": (greedy, lambda m: analytic.UpperConfidenceBound(m, beta=zero, maximize=maximise)),
        "deviation": (lambda *a, **o: np.sqrt(variance(*a, **o)), analytic.PosteriorStandardDeviation),
    }
    for name, (ours, theirs) in pairs.items():
        assert ours(MEAN, STD, **common) == pytest.approx(known(theirs), rel=1e-9, abs=1e-12), name


def test_same_ranks_as_the_bayesian_optimization_package():
    """It maximises only, and its EI and PI have a margin xi, here 0."""
    from bayes_opt import acquisition

    theirs = {"EI": acquisition.ExpectedImprovement(xi=0.0), "PI": acquisition.ProbabilityOfImprovement(xi=0.0)}
    for name, function in theirs.items():
        function.y_max = BEST
        ours = {"EI": expected_improvement, "PI": probability_of_improvement}[name]
        assert ours(MEAN, STD, BEST) == pytest.approx(function.base_acq(MEAN, STD), rel=1e-10), name
    bound = acquisition.UpperConfidenceBound(kappa=1.7).base_acq(MEAN, STD)
    assert upper_confidence_bound(MEAN, STD, kappa=1.7) == pytest.approx(bound)


@pytest.mark.parametrize("name", ["expected_improvement", "log_expected_improvement", "probability_of_improvement",
                                  "upper_confidence_bound", "greedy"])  # fmt: skip
def test_minimising_is_maximising_the_negative(name):
    function = getattr(acquire, name)
    assert np.array_equal(function(MEAN, STD, BEST, maximise=False), function(-MEAN, STD, -BEST))


def test_those_without_a_formula():
    assert variance(MEAN, STD) == pytest.approx(STD**2)
    assert np.array_equal(random(5, 3), random(5, 3))
    assert not np.array_equal(random(5, 3), random(5, 4))
    assert thompson([[1.0, 2.0]], maximise=False).tolist() == [[-1, -2]]


def test_nearest_neighbour_is_tanimoto_on_bits_and_distance_elsewhere():
    bits = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1], [0, 0, 0, 0]])
    assert nearest_neighbour(bits, bits[0]) == pytest.approx([1, 2 / 3, 0, 0])
    assert nearest_neighbour([[0.0, 3.0], [4.0, 0.0]], [0.0, 0.0]).tolist() == [-3, -4]
    # of several the nearest counts
    assert nearest_neighbour(bits, bits[[0, 2]]) == pytest.approx([1, 2 / 3, 1, 0])
    assert nearest_neighbour([[0.0, 3.0], [4.0, 0.0]], [[0.0, 0.0], [4.0, 1.0]]).tolist() == [-3, -1]


def test_errors_name_the_row():
    with pytest.raises(ValueError, match=r"std\[1\] is -1.0"):
        expected_improvement([0, 0], [1, -1], 0)
    for function in (upper_confidence_bound, variance):
        with pytest.raises(ValueError, match="one of each a molecule"):
            function([0, 0], [1])
    with pytest.raises(ValueError, match=r"std\[1\] is -1.0"):
        variance([0, 1], [1, -1])
    with pytest.raises(ValueError, match=r"samples\[0, 1\] is nan: a drawn function is finite"):
        thompson([[0, np.nan]])
    with pytest.raises(ValueError, match=r"mean\[2\] is nan: a mean is finite"):
        probability_of_improvement([0, 1, np.nan], [1, 1, 1], 0)
    for best in (None, np.nan, "high"):
        with pytest.raises(ValueError, match="give the value to beat"):
            expected_improvement([0], [1], best)
    for kappa in (-1, np.nan, "2"):
        with pytest.raises(ValueError, match="kappa is .*give a number of 0 or more"):
            upper_confidence_bound([0], [1], kappa=kappa)
    with pytest.raises(ValueError, match=r"best \(1, 3\): give rows with the columns of X"):
        nearest_neighbour([[0, 1]], [0, 1, 1])


def test_public_names_are_there_and_unknown_ones_are_not():
    assert all(callable(getattr(acquire, name)) or name == "ACQUISITIONS" for name in acquire.__all__)
    with pytest.raises(AttributeError, match="no attribute 'entropy_search'"):
        _ = acquire.entropy_search
