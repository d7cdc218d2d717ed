"""Networks of the panel study: the baseline, the starter, several targets, and priors as penalties."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import Lasso, LinearRegression, Ridge
from sklearn.utils.estimator_checks import parametrize_with_checks

from course_lib.models import BNNRegressor
from course_lib.panel import (
    ChainedTargets,
    EraNetwork,
    SharedTargets,
    TargetHeads,
    map_weights,
    score_posterior,
    simulate,
)

SMALL = {"hidden": (8,), "n_steps": 300, "n_samples": 50, "learning_rate": 2e-2}


# The one list of scikit-learn checks that EraNetwork does not pass, with reasons.
EXPECTED_FAILURES = {
    "check_supervised_y_2d": "a column of y is the first of several targets: there is nothing to warn of"
}


@parametrize_with_checks([EraNetwork((8,), n_epochs=200)], expected_failed_checks=lambda estimator: EXPECTED_FAILURES)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def lines(n=300, noise=0.3, seed=0):
    """Two targets, the first a known line plus half of the second, which is a line too."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    second = X @ [1.0, 0.0, 0.0] + noise * rng.normal(size=n)
    first = X @ [0.0, 1.0, 0.0] + 0.5 * X[:, 0] + noise * rng.normal(size=n)
    return X, np.column_stack([first, second])


# --- the point network ---
def test_initial_weights_are_hes():
    model = EraNetwork((400, 300), n_epochs=1, learning_rate=1e-12)
    X = np.random.default_rng(0).normal(size=(50, 40))
    layers = [layer for layer in model.fit(X, X[:, 0]).network_ if isinstance(layer, torch.nn.Linear)]
    assert [tuple(layer.weight.shape) for layer in layers] == [(400, 40), (300, 400), (1, 300)]
    for layer, n_in in zip(layers[:2], (40, 400), strict=True):
        assert float(layer.weight.detach().std()) == pytest.approx(np.sqrt(2 / n_in), rel=0.02)
        assert float(layer.bias.detach().abs().max()) < 1e-9


def test_learns_a_line_and_every_depth_works():
    X, y = lines()
    for hidden in ((), (16,), (16, 8), (16, 8, 8)):
        model = EraNetwork(hidden, n_epochs=150, batch_size=64).fit(X, y[:, 0])
        assert np.corrcoef(model.predict(X), y[:, 0])[0, 1] > 0.9
        assert len(model.history_) == 150


def test_the_first_of_several_targets_is_predicted_in_its_unit():
    X, y = lines()
    model = EraNetwork((16,), n_epochs=150, batch_size=64).fit(X, y * [100, 1] + [1000, 0])
    assert np.abs(model.predict(X) - (100 * y[:, 0] + 1000)).mean() < 40
    assert model.network_[-1].weight.shape == (2, 16)


def test_same_seed_same_network_another_seed_another():
    X, y = lines(60)
    answers = [EraNetwork((8,), dropout=0.2, noise=0.1, n_epochs=3, random_state=s).fit(X, y) for s in (0, 0, 1)]
    one, two, other = (model.predict(X) for model in answers)
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_a_look_after_each_epoch_does_not_change_the_fit():
    X, y = lines(100)
    seen = []
    looked = EraNetwork((8,), dropout=0.3, n_epochs=5).fit(X, y, lambda model: seen.append(model.predict(X)))
    assert len(seen) == 5
    assert not np.array_equal(seen[0], seen[-1])
    assert np.array_equal(seen[-1], looked.predict(X))
    assert np.array_equal(looked.predict(X), EraNetwork((8,), dropout=0.3, n_epochs=5).fit(X, y).predict(X))


def test_dropout_samples_average_to_about_the_prediction():
    X, y = lines()
    model = EraNetwork((64,), dropout=0.2, n_epochs=60, batch_size=64).fit(X, y)
    samples = np.array(list(model.sample_functions(X, 300)))
    assert samples.std(axis=0).min() > 0
    error = samples.std(axis=0).max() / np.sqrt(300)
    assert np.abs(samples.mean(axis=0) - model.predict(X)).mean() < 4 * error
    assert np.array_equal(samples[:5], np.array(list(model.sample_functions(X, 300)))[:5])
    with pytest.raises(ValueError, match="dropout is 0"):
        next(EraNetwork((4,), n_epochs=1).fit(X, y).sample_functions(X))


# --- several targets ---
@pytest.mark.parametrize("kind", [SharedTargets, TargetHeads, ChainedTargets])
def test_bayesian_networks_of_several_targets_learn_and_the_bound_rises(kind):
    X, y = lines()
    model = kind(**SMALL).fit(X, y)
    history = model.history_["training"]  # minus the bound per row
    assert history.iloc[-20:].mean() < history.iloc[:20].mean() - 0.3
    samples = np.array(list(model.sample_functions(X, 20)))
    assert samples.shape == (20, 300)
    assert np.corrcoef(model.predict(X), y[:, 0])[0, 1] > (0.6 if kind is SharedTargets else 0.9)
    assert np.array_equal(model.predict(X), kind(**SMALL).fit(X, y).predict(X))


def test_one_target_in_a_column_is_the_single_target_network():
    X, y = lines(80)
    single = BNNRegressor(**SMALL).fit(X, y[:, 0])
    for kind in (SharedTargets, TargetHeads):
        assert np.allclose(kind(**SMALL).fit(X, y[:, :1]).predict(X), single.predict(X), atol=1e-4)


def test_shared_targets_fit_the_mean_of_the_targets():
    X, y = lines(400, noise=0.05)
    y /= y.std(axis=0)
    shared = SharedTargets(hidden=(), n_steps=1500, learning_rate=2e-2).fit(X, y)
    slopes = LinearRegression().fit(X, y.mean(axis=1)).coef_
    found = shared.predict(np.eye(3)) - shared.predict(np.zeros((3, 3)))
    np.testing.assert_allclose(found, slopes, atol=0.05)


def test_the_second_mean_feeds_the_first_through_the_chain():
    outputs = torch.tensor([[1.0, 10.0], [2.0, 20.0]])  # two rows
    expected = torch.tensor([[6.0, 10.0], [12.0, 20.0]])
    assert torch.equal(ChainedTargets()._read_out(outputs, {"chain": torch.tensor([0.5])}), expected)
    # three particles, as the bound draws them: (particles, 1, rows, outputs)
    chain = torch.tensor([0.5, 0.0, -0.1]).reshape(3, 1, 1)
    found = ChainedTargets()._read_out(outputs.expand(3, 1, 2, 2), {"chain": chain})
    assert found.shape == (3, 1, 2, 2)
    assert found[:, 0, 0, 0].tolist() == pytest.approx([6.0, 1.0, 0.0])


def test_a_chain_needs_two_targets():
    X, y = lines(20)
    with pytest.raises(ValueError, match="give two columns"):
        ChainedTargets(**SMALL).fit(X, y[:, 0])


def test_a_posterior_is_scored_sample_by_sample():
    train, test = simulate(12, 60, 10, signal=0.5, flip_rate=0.0, n_groups=5).split(8)
    model = BNNRegressor((8,), n_steps=300).fit(train.X, train.targets["alpha_20"])
    y = test.targets["alpha_20"]
    found = score_posterior(model.sample_functions(test.X, 40), y, test.eras)
    assert len(found.samples) == 40
    assert found.eras.mean() > 0.1
    assert found.spread.min() > 0


# --- priors are penalties ---
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("prior", ["normal", "laplace", "uniform"])
def test_map_weights_are_those_of_the_penalised_fit(prior, seed):
    rng = np.random.default_rng(seed)
    n, noise, scale = 60, 0.7, 0.3
    X = rng.normal(size=(n, 6)) + 0.5 * rng.normal(size=(n, 1))
    y = X @ [0.8, -0.4, 0.0, 0.0, 0.2, 0.0] + noise * rng.normal(size=n)
    penalised = {
        "normal": Ridge(alpha=noise**2 / scale**2, fit_intercept=False),
        "laplace": Lasso(alpha=np.sqrt(2) * noise**2 / (scale * n), fit_intercept=False, tol=1e-10, max_iter=10**6),
        "uniform": LinearRegression(fit_intercept=False),
    }[prior]
    expected = penalised.fit(X, y).coef_
    found = map_weights(X, y, prior=prior, prior_scale=scale, noise=noise)
    assert np.abs(found - expected).max() / np.abs(expected).max() < 1e-4
    free = LinearRegression(fit_intercept=False).fit(X, y).coef_
    assert prior == "uniform" or np.abs(found - free).max() > 1e-2  # the other priors do pull


def test_map_weights_of_dependent_columns_are_an_error():
    x = np.random.default_rng(0).normal(size=(50, 1))
    nearly = np.hstack([x, x + 1e-3 * np.random.default_rng(1).normal(size=(50, 1))])
    with pytest.raises(RuntimeError, match="nearly dependent"):
        map_weights(nearly, x[:, 0] - 5 * nearly[:, 1], prior="uniform", prior_scale=1.0, noise=0.1, n_sweeps=20)
