"""Bayesian neural networks: priors, the bound, the linear case in closed form, noise, and no trace left behind."""

import numpy as np
import pyro
import pytest
import torch
from scipy import stats
from sklearn.utils.estimator_checks import parametrize_with_checks

from course_lib.models import BNNClassifier, BNNRegressor
from course_lib.models.bnn import prior_distribution

# The one list of scikit-learn checks that Bayesian networks do not pass, with reasons. Empty: they pass all.
EXPECTED_FAILURES: dict[str, str] = {}
QUICK = {"hidden": (8,), "n_steps": 150, "n_samples": 50, "learning_rate": 2e-2}


@parametrize_with_checks(
    [BNNRegressor(**QUICK), BNNClassifier(**QUICK)], expected_failed_checks=lambda estimator: EXPECTED_FAILURES
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def wave(n, noise=0.3, seed=0):
    """A known function of one column and its noise; the second column is constant."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 2, n)
    return np.column_stack([x, np.ones(n)]), 50 + 10 * (np.sin(2 * x) + noise * rng.normal(size=n))


# --- priors ---
def test_prior_densities_are_those_of_scipy():
    values = torch.tensor([[-1.5, 0.0], [0.3, 2.0]])
    flat = values.numpy().ravel()
    normal = prior_distribution("normal", 0.7, (2, 2)).log_prob(values)
    assert float(normal) == pytest.approx(stats.norm(0, 0.7).logpdf(flat).sum(), rel=1e-6)
    laplace = prior_distribution("laplace", 0.7, (2, 2)).log_prob(values)
    assert float(laplace) == pytest.approx(stats.laplace(0, 0.7 / np.sqrt(2)).logpdf(flat).sum(), rel=1e-6)
    assert stats.laplace(0, 0.7 / np.sqrt(2)).std() == pytest.approx(0.7)
    assert float(prior_distribution("uniform", 0.7, (2, 2)).log_prob(values)) == 0


@pytest.mark.parametrize(("kind", "scale", "message"), [("cauchy", 1.0, "choose 'normal'"), ("normal", 0.0, "above 0")])
def test_a_wrong_prior_is_a_clear_error(kind, scale, message):
    with pytest.raises(ValueError, match=message):
        prior_distribution(kind, scale, (1,))


# --- the linear network, where the posterior is known ---
def test_linear_network_has_the_closed_forms_posterior():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(60, 3)) @ rng.normal(size=(3, 3))  # correlated columns
    y = X @ [1.0, -2.0, 0.5] + rng.normal(size=60)
    model = BNNRegressor(hidden=(), n_steps=3000, n_samples=4000).fit(X, y)
    inputs = model.axes_(model.inputs_.transform(X)).double().numpy()
    table = np.column_stack([inputs, np.ones(60)])
    prior = np.r_[np.full(3, 3 / 2), 1.0]  # inverse variances: He's 2 / 3 for each weight, 1 for the bias
    noise = np.exp(2 * model.guide_.log_noise.item())
    covariance = np.linalg.inv(np.diag(prior) + table.T @ table / noise)
    mean = covariance @ table.T @ ((y - model.y_mean_) / model.y_scale_) / noise
    found = np.r_[model.guide_.location["weight_0"].detach().numpy().ravel(), model.guide_.location["bias_0"].item()]
    width = np.r_[
        model.guide_.log_width["weight_0"].exp().detach().numpy().ravel(),
        model.guide_.log_width["bias_0"].exp().item(),
    ]
    np.testing.assert_allclose(found, mean, atol=0.2 * np.sqrt(np.diag(covariance)).max())
    # In principal axes the columns are orthogonal, so the mean field is exact: the widths are the true ones.
    np.testing.assert_allclose(width, np.sqrt(np.diag(covariance)), rtol=0.15)


@pytest.mark.parametrize("prior", ["normal", "laplace", "uniform"])
def test_the_prior_pulls_weights_to_zero_unless_it_is_flat(prior):
    X, y = wave(40)
    wide, narrow = (
        BNNRegressor(hidden=(), prior=prior, prior_scale=scale, n_steps=800, learning_rate=5e-2)
        .fit(X, y)
        .guide_.location["weight_0"]
        .abs()
        for scale in (1.0, 0.01)
    )
    if prior == "uniform":
        torch.testing.assert_close(wide, narrow, atol=0.05, rtol=0)
    else:
        assert narrow.item() < 0.5 * wide.item()


# --- training ---
@pytest.mark.parametrize("kind", [BNNRegressor, BNNClassifier])
def test_thirty_rows_train(kind):
    X, y = wave(30)
    model = kind(n_steps=300).fit(X, y if kind is BNNRegressor else y > 50)
    start = {name: torch.full_like(value, -99.0) for name, value in model.guide_.location.items()}
    fresh = kind(n_steps=1, learning_rate=1e-9).fit(X, y if kind is BNNRegressor else y > 50)
    for name in start:
        assert (model.guide_.location[name] - fresh.guide_.location[name]).abs().max() > 1e-2
    first, last = model.history_["training"].iloc[[0, -1]]
    assert last < first - 0.1
    assert len(model.history_) == 300  # one batch an epoch: every step counts


def test_every_row_is_in_the_bound_once_an_epoch():
    X, y = wave(257)
    model = BNNRegressor(batch_size=128, n_steps=10, hidden=(4,)).fit(X, y)
    assert len(model.history_) == 5  # two batches an epoch, none dropped


@pytest.mark.parametrize("kind", [BNNRegressor, BNNClassifier])
def test_same_seed_same_answer_and_global_state_untouched(kind):
    X, y = wave(50)
    y = y if kind is BNNRegressor else y > 50
    torch.manual_seed(11)
    state, threads = torch.get_rng_state(), torch.get_num_threads()

    def answer(seed, n_threads):
        torch.set_num_threads(n_threads)
        return kind(**QUICK, random_state=seed).fit(X, y).predict_parts(X).to_numpy()

    try:
        assert np.array_equal(answer(0, 1), answer(0, 2))
        assert not np.array_equal(answer(0, 1), answer(1, 1))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.get_rng_state(), state)
    assert len(pyro.get_param_store()) == 0


# --- the predictive distribution ---
def test_the_noise_that_was_planted_is_found():
    X, y = wave(300, noise=0.5)
    parts = BNNRegressor(hidden=(32,), n_steps=1500).fit(X, y).predict_parts(X)
    assert parts["aleatoric"].iloc[0] == pytest.approx(5.0, rel=0.2)  # 10 times 0.5
    np.testing.assert_allclose(parts["std"] ** 2, parts["epistemic"] ** 2 + parts["aleatoric"] ** 2)


def test_functions_are_those_that_predict_averages_and_come_one_by_one():
    X, y = wave(40)
    model = BNNRegressor(**QUICK).fit(X, y)
    functions = model.sample_functions(X, n_samples=QUICK["n_samples"], random_state=0)
    first = next(functions)
    assert first.shape == (40,)
    samples = np.vstack([first, *functions])
    mean = model.predict(X)
    np.testing.assert_allclose(samples.mean(axis=0), mean, rtol=1e-6)
    np.testing.assert_allclose(samples.std(axis=0), model.predict_parts(X)["epistemic"], rtol=1e-5)


def test_classifier_learns_a_known_probability():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 1))
    p = 1 / (1 + np.exp(-2 * x[:, 0]))
    model = BNNClassifier(n_steps=600).fit(x, rng.random(600) < p)
    grid = np.linspace(-2, 2, 9)[:, None]
    np.testing.assert_allclose(model.predict_proba(grid)[:, 1], 1 / (1 + np.exp(-2 * grid[:, 0])), atol=0.12)


def test_what_to_tune_exists():
    assert set(BNNRegressor.TUNE_SPACE) <= set(BNNRegressor().get_params())
