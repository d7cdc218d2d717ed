"""SNGP: bounded layers, a head whose covariance is the closed form's, and a sigma that knows distance."""

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import DotProduct
from sklearn.utils.estimator_checks import parametrize_with_checks

from course_lib.models import SNGPClassifier, SNGPRegressor
from course_lib.models.sngp import laplace_posterior, linear_posterior

# The one list of scikit-learn checks that SNGP does not pass, with reasons. Empty: it passes all.
EXPECTED_FAILURES: dict[str, str] = {}
QUICK = {"width": 8, "n_features": 64, "max_epochs": 60, "learning_rate": 1e-2}


@parametrize_with_checks(
    [SNGPRegressor(**QUICK), SNGPClassifier(**QUICK)], expected_failed_checks=lambda estimator: EXPECTED_FAILURES
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def wave(n, noise=0.3, seed=0):
    """A known function of one column and its noise; the second column is constant."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 2, n)
    return np.column_stack([x, np.ones(n)]), 50 + 10 * (np.sin(2 * x) + noise * rng.normal(size=n))


# --- the head ---
def test_linear_posterior_is_that_of_the_gaussian_process_with_the_same_kernel():
    rng = np.random.default_rng(0)
    features, y, new = rng.normal(size=(20, 6)), rng.normal(size=20), rng.normal(size=(5, 6))
    mean, factor = linear_posterior(features, y, signal=1.7, noise=0.3)
    covariance = np.linalg.inv(factor @ factor.T)
    kernel = 1.7 * features @ features.T + 0.3 * np.eye(20)
    cross = 1.7 * new @ features.T
    np.testing.assert_allclose(new @ mean, cross @ np.linalg.solve(kernel, y))
    expected = 1.7 * new @ new.T - cross @ np.linalg.solve(kernel, cross.T)
    np.testing.assert_allclose(new @ covariance @ new.T, expected, atol=1e-12)


def test_laplace_posterior_is_that_of_scikit_learn():
    rng = np.random.default_rng(1)
    features = rng.normal(size=(40, 5))
    t = (rng.random(40) < expit(features @ [1, -1, 0.5, 0, 2.0])).astype(float)
    mode, _, evidence = laplace_posterior(features, t, signal=2.5)
    # scikit-learn's kernel sigma_0^2 + x.x' with sigma_0 near 0, on features scaled by the root of the signal
    scaled = features * np.sqrt(2.5)
    reference = GaussianProcessClassifier(DotProduct(1e-8, "fixed"), optimizer=None).fit(scaled, t)
    assert evidence == pytest.approx(reference.log_marginal_likelihood_value_, rel=1e-4)
    assert np.array_equal(features @ mode > 0, reference.predict(scaled) == 1)


def test_laplace_covariance_is_the_inverse_hessian_at_the_mode():
    rng = np.random.default_rng(2)
    features, t = rng.normal(size=(30, 4)), (rng.random(30) < 0.5).astype(float)
    mode, factor, _ = laplace_posterior(features, t, signal=1.5)

    def gradient(b):
        return features.T @ (t - expit(features @ b)) - b / 1.5

    np.testing.assert_allclose(gradient(mode), 0, atol=1e-6)
    step = 1e-5 * np.eye(4)
    hessian = -np.array([(gradient(mode + h) - gradient(mode - h)) / 2e-5 for h in step])
    np.testing.assert_allclose(factor @ factor.T, hessian, rtol=1e-5, atol=1e-6)


def test_head_covariance_comes_from_all_training_rows():
    X, y = wave(60)
    model = SNGPRegressor(**QUICK).fit(X, y)
    features = model._features(model.axes_(model.inputs_.transform(X)))
    expected = features.T @ features / model.noise_ + np.eye(features.shape[1]) / model.signal_
    np.testing.assert_allclose(model.precision_ @ model.precision_.T, expected, rtol=1e-8)
    # which is why sigma differs from its prior, and is smaller where rows are
    near, far = model.predict_parts(np.array([[0.0, 1.0], [8.0, 1.0]]))["epistemic"]
    assert near < 0.5 * far


# --- the layers ---
def test_no_layer_stretches_by_more_than_the_bound():
    X, y = wave(60)
    model = SNGPRegressor(**QUICK, spectral_bound=0.4).fit(X, y)
    for layer in model.network_.layers:
        assert torch.linalg.matrix_norm(layer.weight, 2) <= 0.4 + 1e-5
    h = torch.randn(200, 1, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        out = model.network_.hidden(h)
    ratio = torch.pdist(out) / torch.pdist(h).clamp(min=1e-6)
    # |W| <= c: each layer keeps distances within 1 - c and 1 + c
    assert ratio.min() >= 0.6**2 - 1e-3
    assert ratio.max() <= 1.4**2 + 1e-3


# --- training ---
@pytest.mark.parametrize("kind", [SNGPRegressor, SNGPClassifier])
def test_thirty_rows_train(kind):
    X = np.random.default_rng(0).normal(size=(30, 5))
    y = X[:, 0] + np.sin(2 * X[:, 1])
    y = y if kind is SNGPRegressor else y > 0
    fresh = kind(max_epochs=1, learning_rate=1e-9).fit(X, y).network_
    model = kind(max_epochs=60).fit(X, y)
    after = dict(model.network_.named_parameters())
    moved = {name: float((value - after[name]).detach().abs().max()) for name, value in fresh.named_parameters()}
    moved.pop("log_noise")  # the classifier has none
    assert min(moved.values()) > 1e-3, moved
    assert model.history_["training"].min() < model.history_["training"].iloc[0] - 0.1


@pytest.mark.parametrize("kind", [SNGPRegressor, SNGPClassifier])
def test_same_seed_same_answer_and_global_state_untouched(kind):
    X, y = wave(50)
    y = y if kind is SNGPRegressor else y > 50
    torch.manual_seed(11)
    state, threads = torch.get_rng_state(), torch.get_num_threads()

    def answer(seed, n_threads):
        torch.set_num_threads(n_threads)
        return kind(**QUICK, random_state=seed).fit(X, y).predict_parts(X).to_numpy()

    try:
        np.testing.assert_allclose(answer(0, 1), answer(0, 2), rtol=1e-4)  # BLAS sums in another order
        assert not np.allclose(answer(0, 1), answer(1, 1))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.get_rng_state(), state)


# --- the predictive distribution ---
def test_epistemic_part_falls_with_more_rows_and_the_noise_is_found():
    grid = np.column_stack([np.linspace(-2, 2, 50), np.ones(50)])
    few, many = (SNGPRegressor(max_epochs=60).fit(*wave(n, noise=0.5)).predict_parts(grid) for n in (50, 400))
    assert (many["epistemic"] ** 2).mean() < 0.8 * (few["epistemic"] ** 2).mean()
    assert many["aleatoric"].iloc[0] == pytest.approx(5.0, rel=0.3)  # 10 times 0.5, from the 60 rows held back
    np.testing.assert_allclose(many["std"] ** 2, many["epistemic"] ** 2 + many["aleatoric"] ** 2)


def test_classifier_learns_a_known_probability_and_is_unsure_far_away():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 1))
    model = SNGPClassifier(max_epochs=40, learning_rate=1e-2).fit(x, rng.random(500) < expit(2 * x[:, 0]))
    grid = np.linspace(-1.5, 1.5, 7)[:, None]
    np.testing.assert_allclose(model.predict_proba(grid)[:, 1], expit(2 * grid[:, 0]), atol=0.15)
    parts = model.predict_parts(np.array([[0.0], [30.0]]))
    assert parts["epistemic"][1] > 3 * parts["epistemic"][0]


def test_what_to_tune_exists():
    assert set(SNGPRegressor.TUNE_SPACE) <= set(SNGPRegressor().get_params())
