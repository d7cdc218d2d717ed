"""The one training loop, and deep ensembles: every row counts, rows held back never teach, one seed is one answer."""

from itertools import chain

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from course_lib.models import DeepEnsembleClassifier, DeepEnsembleRegressor
from course_lib.models.deep_ensemble import MIN_VARIANCE, perceptron
from course_lib.models.network import MIN_FOR_VALIDATION, PrincipalAxes, seeded, train


def rows_seen(n, **options):
    """Rows of each step, and rows of each score, as train deals them."""
    network, steps, scores = nn.Linear(1, 1), [], []

    def loss(rows):
        steps.append(rows.tolist())
        return network.weight.sum() ** 2

    def score(rows):
        scores.append(rows.tolist())
        return torch.tensor(float(-len(scores)))  # always better: no early stop

    train(network, loss, n, score=score, **options)
    return steps, scores


def test_no_batch_is_dropped():
    steps, _ = rows_seen(257, batch_size=128, max_epochs=2, validation_share=0.0)
    assert len(steps) == 4  # two an epoch, the odd row included
    for epoch in (steps[:2], steps[2:]):
        assert sorted(chain(*epoch)) == list(range(257))
        assert {len(batch) for batch in epoch} == {128, 129}
    assert steps[:2] != steps[2:]


@pytest.mark.parametrize(("n", "batches"), [(2, 1), (30, 1), (255, 1), (257, 1), (385, 2), (640, 2), (641, 3)])
def test_fewer_rows_than_a_batch_still_make_a_step(n, batches):
    steps, _ = rows_seen(n, batch_size=256, max_epochs=1, validation_share=0.0)
    assert len(steps) == batches
    assert sorted(chain(*steps)) == list(range(n))


def test_rows_held_back_are_the_training_part_less_the_batches():
    steps, scores = rows_seen(100, batch_size=32, max_epochs=3, validation_share=0.2, random_state=4)
    assert all(held == scores[0] for held in scores)
    assert len(scores[0]) == 20
    assert set(scores[0]) | set(chain(*steps)) == set(range(100))
    assert not set(scores[0]) & set(chain(*steps))
    network = nn.Linear(1, 1)
    history = train(network, lambda rows: network.weight.sum(), 100, validation_share=0.2, random_state=4, max_epochs=1)
    assert history.attrs["held"] == scores[0]
    other = rows_seen(100, max_epochs=1, validation_share=0.2, random_state=5)[1]
    assert other[0] != scores[0]
    few = rows_seen(MIN_FOR_VALIDATION - 1, max_epochs=2, validation_share=0.5)
    assert few[1] == []


def line(n=60, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    y = X @ [1.0, -2.0, 0.5] + 0.1 * rng.normal(size=n)
    return torch.tensor(X, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)


def gradients(X, y, epochs=2):
    """Gradients of every step of a small network."""
    found = []
    with seeded(0):
        network = perceptron(3, (5,), 1)
        network[0].weight.register_hook(lambda gradient: found.append(gradient.clone()))

        def loss(rows):
            return ((network(X[rows])[:, 0] - y[rows]) ** 2).mean()

        train(network, loss, len(X), batch_size=16, max_epochs=epochs, random_state=3)
    return found


def test_a_row_held_back_never_enters_a_gradient():
    X, y = line()
    _, scores = rows_seen(60, max_epochs=1, random_state=3)
    held, used = scores[0], sorted(set(range(60)) - set(scores[0]))
    plain = gradients(X, y)
    assert len(plain) > 3
    moved = y.clone()
    moved[held] += 100.0
    assert all(torch.equal(a, b) for a, b in zip(plain, gradients(X, moved), strict=True))
    moved = y.clone()
    moved[used[0]] += 100.0
    assert not all(torch.equal(a, b) for a, b in zip(plain, gradients(X, moved), strict=True))


def test_the_best_epoch_is_kept_and_patience_ends_training():
    network, weights = nn.Linear(1, 1, bias=False), []
    scores = iter([3.0, 2.0, 1.0, 5.0, 4.0, 3.0, 2.0, 0.0])

    def score(rows):
        weights.append(network.weight.detach().clone())
        return torch.tensor(next(scores))

    history = train(network, lambda rows: network.weight.sum(), 20, score=score, patience=4, learning_rate=0.1)
    assert history["validation"].tolist() == [3.0, 2.0, 1.0, 5.0, 4.0, 3.0, 2.0]
    assert torch.equal(network.weight, weights[2])
    assert not torch.equal(weights[2], weights[-1])
    assert not network.training


def test_history_is_the_mean_over_rows():
    network, values = nn.Linear(1, 1), torch.arange(5.0)
    options = {"batch_size": 3, "max_epochs": 1, "learning_rate": 0.0, "validation_share": 0.0}
    history = train(network, lambda rows: values[rows].mean() + 0 * network.weight.sum(), 5, **options)
    assert history["training"].tolist() == pytest.approx([2.0])
    assert history["validation"].isna().all()


def test_cosine_takes_the_learning_rate_to_nothing():
    network, seen = nn.Linear(1, 1, bias=False), []

    def loss(rows):
        seen.append(float(network.weight.detach()))
        return network.weight.sum()  # a constant gradient: Adam moves by the learning rate

    train(network, loss, 4, learning_rate=0.1, max_epochs=11, cosine=True, validation_share=0.0)
    moves = -np.diff(seen)
    np.testing.assert_allclose(moves, 0.05 * (1 + np.cos(np.pi * np.arange(10) / 11)), rtol=1e-3)


def test_a_loss_that_is_not_finite_is_an_error():
    network = nn.Linear(1, 1)
    with pytest.raises(ValueError, match="training loss is not finite"):
        train(network, lambda rows: network.weight.sum() * torch.nan, 20, max_epochs=2)


def test_seeded_leaves_the_callers_random_numbers_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with seeded(1):
        first = torch.rand(3)
    assert torch.equal(torch.rand(3), expected)
    with seeded(1):
        assert torch.equal(torch.rand(3), first)
    with seeded(2):
        assert not torch.equal(torch.rand(3), first)


# --- deep ensembles ---
# The one list of scikit-learn checks that deep ensembles do not pass, with reasons. Empty: they pass all.
EXPECTED_FAILURES: dict[str, str] = {}
QUICK = {"n_members": 2, "hidden": (16,), "max_epochs": 40, "learning_rate": 2e-2}


@parametrize_with_checks(
    [DeepEnsembleRegressor(**QUICK), DeepEnsembleClassifier(**QUICK)],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES,
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def wave(n, noise=0.3, seed=0):
    """A known function of one column and its noise; the second column is constant."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 2, n)
    return np.column_stack([x, np.ones(n)]), 50 + 10 * (np.sin(2 * x) + noise * rng.normal(size=n))


@pytest.mark.parametrize("model", [DeepEnsembleRegressor(n_members=2), DeepEnsembleClassifier(n_members=2)])
def test_thirty_rows_train(model):
    X, y = wave(30)
    model.fit(X, y if isinstance(model, DeepEnsembleRegressor) else y > 50)
    seeds = np.random.default_rng(0).integers(2**31, size=2)
    for seed, network, history in zip(seeds, model.members_, model.histories_, strict=True):
        with seeded(int(seed)):
            start = perceptron(1, (64, 64), network[-1].out_features)
        for before, after in zip(start.parameters(), network.parameters(), strict=True):
            assert (before - after).abs().max() > 1e-3
        assert history["training"].iloc[-1] < history["training"].iloc[0] - 0.1


@pytest.mark.parametrize("kind", [DeepEnsembleRegressor, DeepEnsembleClassifier])
def test_same_seed_same_answer_and_global_state_untouched(kind):
    X, y = wave(80)
    y = y if kind is DeepEnsembleRegressor else y > 50
    torch.manual_seed(11)
    state, threads = torch.get_rng_state(), torch.get_num_threads()

    def answer(seed, n_threads):
        torch.set_num_threads(n_threads)
        model = kind(**QUICK, random_state=seed).fit(X, y)
        return model.predict_parts(X).to_numpy()

    try:
        assert np.array_equal(answer(0, 1), answer(0, 2))
        assert torch.get_num_threads() == 2
        assert not np.array_equal(answer(0, 1), answer(1, 1))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.get_rng_state(), state)


def test_no_epoch_leaves_the_starting_weights_and_an_empty_history():
    X, y = wave(30)
    model = DeepEnsembleRegressor(n_members=1, max_epochs=0).fit(X, y)
    (network,), (history,) = model.members_, model.histories_
    with seeded(int(np.random.default_rng(0).integers(2**31, size=1)[0])):
        start = perceptron(1, (64, 64), 2)
    assert all(torch.equal(a, b) for a, b in zip(start.parameters(), network.parameters(), strict=True))
    assert history.shape == (0, 2)
    assert history.to_numpy().dtype == np.float64
    assert np.isfinite(model.predict(X, return_std=True)).all()


def test_moments_are_those_of_the_mixture():
    X, y = wave(60)
    model = DeepEnsembleRegressor(**QUICK).fit(X, y)
    inputs = torch.tensor(model.inputs_.transform(X), dtype=torch.float32)
    with torch.no_grad():
        outputs = np.array([network(inputs).numpy() for network in model.members_], dtype=float)
    means = outputs[..., 0] * model.y_scale_ + model.y_mean_
    variances = (np.log1p(np.exp(outputs[..., 1])) + MIN_VARIANCE) * model.y_scale_**2
    parts = model.predict_parts(X)
    np.testing.assert_allclose(parts["mean"], means.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(parts["std"] ** 2, (variances + means**2).mean(axis=0) - parts["mean"] ** 2, rtol=1e-6)
    np.testing.assert_allclose(parts["epistemic"] ** 2, means.var(axis=0), rtol=1e-6)
    np.testing.assert_allclose(model.predict(X, return_std=True)[1], parts["std"])


def test_the_noise_that_was_planted_is_found():
    rng = np.random.default_rng(1)
    x = rng.uniform(-2, 2, 500)
    noise = np.where(x > 0, 4.0, 1.0)
    y = 5 * x + noise * rng.normal(size=500)
    parts = DeepEnsembleRegressor(n_members=3, patience=15).fit(x[:, None], y).predict_parts([[-1.0], [1.0]])
    np.testing.assert_allclose(parts["aleatoric"], [1.0, 4.0], rtol=0.25)
    np.testing.assert_allclose(parts["mean"], [-5.0, 5.0], atol=1.0)


def test_members_disagree_less_with_more_rows():
    """Averaged over two data sets: an ensemble of five says little about the spread that it is drawn from."""
    grid = wave(100, seed=9)[0]

    def epistemic(n):
        models = (DeepEnsembleRegressor().fit(*wave(n, seed=seed)) for seed in range(2))
        return np.mean([model.predict_parts(grid)["epistemic"] ** 2 for model in models])

    assert epistemic(200) < 0.8 * epistemic(50)


def test_classifier_learns_a_known_probability():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 1))
    model = DeepEnsembleClassifier(n_members=3).fit(
        x, np.where(rng.random(600) < 1 / (1 + np.exp(-2 * x[:, 0])), "b", "a")
    )
    assert model.classes_.tolist() == ["a", "b"]
    np.testing.assert_allclose(
        model.predict_proba([[-1.0], [0.0], [1.0]])[:, 1], 1 / (1 + np.exp([2, 0, -2])), atol=0.08
    )


def test_what_to_tune_exists():
    assert set(DeepEnsembleRegressor.TUNE_SPACE) <= set(DeepEnsembleRegressor().get_params())
    assert set(DeepEnsembleClassifier.TUNE_SPACE) <= set(DeepEnsembleClassifier().get_params())


def test_principal_axes_rotate_and_scale_alike():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 5)) @ rng.normal(size=(5, 5)) + 3
    axes = PrincipalAxes(X)
    Z = axes(X).numpy().astype(float)
    assert np.mean(Z**2) == pytest.approx(1)
    ratio = pdist(Z) / pdist(X)
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)  # distances keep their proportions
    covariance = Z.T @ Z
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-3)
    assert PrincipalAxes(X, 2)(X).shape == (40, 2)
    repeated = np.repeat(X, 20, axis=1)
    assert PrincipalAxes(repeated)(repeated).shape == (40, 5)  # no direction without spread
