"""Gaussian processes: the same numbers as scikit-learn's, a kernel tested by hand, honest noise at small n."""

import gpytorch
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import binom
from sklearn.base import clone
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, Matern, WhiteKernel
from sklearn.utils.estimator_checks import parametrize_with_checks

from course_lib.models import GPClassifier, GPRegressor, baselines, tune
from course_lib.models.gp import TanimotoKernel
from course_lib.splits import GroupKFold


def expected_failures(estimator) -> dict[str, str]:
    """The one list of scikit-learn checks that the processes do not pass, with reasons."""
    if isinstance(estimator, GPClassifier) and estimator.kernel == "tanimoto":
        negative = "its X holds negative numbers, which the Tanimoto kernel refuses before the classes are counted"
        return {"check_classifier_not_supporting_multiclass": negative}
    return {}


@parametrize_with_checks(
    [
        *(GPRegressor(kernel, n_restarts=0) for kernel in ("matern", "rbf", "tanimoto")),
        *(GPClassifier(kernel, n_inducing=50) for kernel in ("matern", "tanimoto")),
    ],
    expected_failed_checks=expected_failures,
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 4)) * [1, 10, 0.1, 3]
    return X, 300 + 40 * np.sin(X[:, 0]) + 2 * X[:, 1] + 8 * rng.normal(size=120)


@pytest.fixture(scope="module")
def bits():
    rng = np.random.default_rng(1)
    X = (rng.random((90, 60)) < 0.2).astype(float)
    return X, X[:, :10].sum(axis=1) + 0.3 * rng.normal(size=90)


# --- against scikit-learn ---
@pytest.mark.parametrize(
    ("kernel", "nu"), [("matern", 0.5), ("matern", 1.5), ("matern", 2.5), ("rbf", 1.5), ("tanimoto", 1.5)]
)
def test_same_numbers_as_scikit_learn(table, bits, kernel, nu):
    X, y = bits if kernel == "tanimoto" else table
    model = GPRegressor(kernel, nu=nu, n_restarts=0).fit(X[:80], y[:80])
    value = model.hyperparameters_
    if kernel == "tanimoto":
        base, inputs = baselines.TanimotoKernel(), lambda X: X
    else:
        base = RBF(value["lengthscale"]) if kernel == "rbf" else Matern(value["lengthscale"], nu=nu)
        inputs = model.inputs_.transform
    centred = (y[:80] - model.y_mean_) / model.y_scale_ - value["mean"]
    covariance = value["outputscale"] * base + WhiteKernel(value["noise"])
    reference = GaussianProcessRegressor(covariance, optimizer=None, alpha=0).fit(inputs(X[:80]), centred)
    mean, std = reference.predict(inputs(X[80:]), return_std=True)
    ours = model.predict(X[80:], return_std=True)
    assert np.allclose(ours[0], (mean + value["mean"]) * model.y_scale_ + model.y_mean_, rtol=1e-6)
    assert np.allclose(ours[1], std * model.y_scale_, rtol=1e-6)
    assert model.log_marginal_likelihood_ == pytest.approx(reference.log_marginal_likelihood(), rel=1e-6)


@pytest.mark.parametrize("kernel", ["matern", "rbf", "tanimoto"])
def test_gradient_is_gpytorchs(table, bits, kernel):
    """The closed form of the gradient agrees with GPyTorch's differentiation through the Cholesky factor."""
    from course_lib.models.gp import _LogMarginal, _shape

    X, y = (torch.as_tensor(part) for part in (bits if kernel == "tanimoto" else table))
    y = (y - y.mean()) / y.std()
    model = GPRegressor(kernel, n_restarts=0).fit(X.numpy(), y.numpy()).model_.train().requires_grad_(True)
    model.mean_module.requires_grad_(False)
    X, y = model.train_inputs[0], model.train_targets
    gpytorch.mlls.ExactMarginalLogLikelihood(model.likelihood, model)(model(X), y).backward()
    base = model.covar_module.base_kernel
    theirs = {"outputscale": model.covar_module.raw_outputscale, "noise": model.likelihood.noise_covar.raw_noise}
    if kernel != "tanimoto":
        theirs["lengthscale"] = base.raw_lengthscale
    ours = {name: raw.detach().reshape(()).clone().requires_grad_(True) for name, raw in theirs.items()}
    distance = TanimotoKernel()(X, X).to_dense() if kernel == "tanimoto" else torch.cdist(X, X)
    scale = ours["lengthscale"].exp() if kernel != "tanimoto" else None
    K = ours["outputscale"].exp() * _shape(kernel, 1.5, distance, scale)
    _LogMarginal.apply(K + ours["noise"].exp() * torch.eye(len(y), dtype=torch.double), y)[0].backward()
    for name, raw in theirs.items():
        assert float(ours[name].grad) / len(y) == pytest.approx(float(raw.grad), rel=1e-4, abs=1e-8), name


def test_likelihood_is_at_a_maximum_and_restarts_do_not_lower_it(table):
    """With priors as good as flat no neighbour of the hyperparameters found has a higher marginal likelihood."""
    X, y = table
    model = GPRegressor(n_restarts=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("course_lib.models.gp.PRIOR_SD", dict.fromkeys(("lengthscale", "outputscale", "noise"), 1e6))
        model.fit(X, y)
    assert model.at_bounds_ == []
    best, Xs = model.hyperparameters_, torch.as_tensor(model.inputs_.transform(X))
    ys, distance = torch.as_tensor((y - model.y_mean_) / model.y_scale_), torch.cdist(Xs, Xs)
    top = model.log_marginal_likelihood_
    for name in ("lengthscale", "outputscale", "noise"):
        for factor in (0.9, 1.1):
            model._build(Xs, ys, distance, {k: best[k] * (factor if k == name else 1) for k in best if k != "mean"})
            assert model.log_marginal_likelihood_ < top


# --- the Tanimoto kernel ---
def test_tanimoto_by_hand_and_against_sets():
    kernel = TanimotoKernel()
    a = torch.tensor([[1.0, 1, 0, 0], [0, 1, 1, 1], [0, 0, 0, 0]], dtype=torch.double)
    expected = [[1, 1 / 4, 0], [1 / 4, 1, 0], [0, 0, 1]]
    assert np.allclose(kernel(a, a).to_dense(), expected)
    rng = np.random.default_rng(0)
    x, z = (rng.random((12, 40)) < 0.3, rng.random((9, 40)) < 0.3)
    sets = [[set(np.flatnonzero(row)) for row in part] for part in (x, z)]
    by_hand = [[len(p & q) / len(p | q) for q in sets[1]] for p in sets[0]]
    x, z = torch.as_tensor(x, dtype=torch.double), torch.as_tensor(z, dtype=torch.double)
    assert np.allclose(kernel(x, z).to_dense(), by_hand)
    assert np.allclose(kernel(x, z).to_dense(), baselines.TanimotoKernel()(x.numpy(), z.numpy()))
    assert np.allclose(kernel(x, x, diag=True), 1)


def test_tanimoto_of_counts():
    rng = np.random.default_rng(0)
    x, z = rng.poisson(0.7, (12, 30)).astype(float), rng.poisson(0.7, (9, 30)).astype(float)
    closed = [[np.minimum(p, q).sum() / np.maximum(p, q).sum() for q in z] for p in x]
    kernel = TanimotoKernel()
    assert np.allclose(kernel(torch.as_tensor(x), torch.as_tensor(z)).to_dense(), closed)
    assert np.allclose(kernel(torch.as_tensor(x[:9]), torch.as_tensor(z), diag=True), np.diag(closed))


@pytest.mark.parametrize("make", [lambda rng: rng.random((60, 25)) < 0.2, lambda rng: rng.poisson(0.5, (60, 25))])
def test_tanimoto_is_positive_definite(make):
    kernel = TanimotoKernel()
    for seed in range(10):
        x = torch.as_tensor(np.unique(make(np.random.default_rng(seed)), axis=0).astype(float))
        assert float(torch.linalg.eigvalsh(kernel(x, x).to_dense()).min()) > 0


def test_tanimoto_refuses_what_is_no_fingerprint(bits):
    X, y = bits
    with pytest.raises(ValueError, match=r"row 3, column 7 is -1\.0; .*not scaled descriptors"):
        GPRegressor("tanimoto").fit(np.where(np.indices(X.shape)[0] * 100 + np.indices(X.shape)[1] == 307, -1, X), y)
    with pytest.raises(ValueError, match="NaN"):
        GPRegressor("tanimoto").fit(np.where(X == 1, np.nan, X), y)
    model = GPRegressor("tanimoto").fit(X, y)
    with pytest.raises(ValueError, match="Negative values"):
        model.predict(X - 0.5)


def test_tanimoto_learns_bits_and_counts(bits):
    X, y = bits
    assert GPRegressor("tanimoto").fit(X[:70], y[:70]).score(X[70:], y[70:]) > 0.4
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.7, (150, 20)).astype(float)
    y = counts[:, :5].sum(axis=1)
    assert GPRegressor("tanimoto").fit(counts[:120], y[:120]).score(counts[120:], y[120:]) > 0.5


# --- noise and coverage ---
def _draw(rng, n, noise, p=2):
    """A function from a Matern 3/2 process of variance 1 on p standard normal columns, and its noisy values."""
    X = rng.normal(size=(n, p))
    K = Matern(2.0, nu=1.5)(X) + 1e-10 * np.eye(n)
    return X, np.linalg.cholesky(K) @ rng.normal(size=n) + np.sqrt(noise) * rng.normal(size=n)


@pytest.mark.parametrize("noise", [0.01, 0.1, 0.5])
def test_planted_noise_is_found(noise):
    """Mean over 5 draws of 200 rows: the noise variance within 25 % (its standard error is about 5 %)."""
    found = []
    for seed in range(5):
        X, y = _draw(np.random.default_rng(seed), 200, noise)
        parts = GPRegressor(n_restarts=0).fit(X, y).predict_parts(X[:1])
        found.append(parts["aleatoric"][0] ** 2)
    assert np.mean(found) == pytest.approx(noise, rel=0.25)


def test_noise_does_not_collapse_at_small_n():
    """15 rows, a third of the variance noise: the likelihood alone says "no noise" for some draws; with priors none."""

    def smallest(**prior):
        with pytest.MonkeyPatch.context() as patch:
            if prior:
                patch.setattr("course_lib.models.gp.PRIOR_SD", prior)
            fits = [GPRegressor(n_restarts=0).fit(*_draw(np.random.default_rng(s), 15, 0.5)) for s in range(20)]
        return min(fit.hyperparameters_["noise"] for fit in fits)

    assert smallest(lengthscale=1e6, outputscale=1e6, noise=1e6) < 1e-3
    assert smallest() > 0.01


@pytest.mark.parametrize(("n", "n_draws"), [(25, 120), (80, 60)])
def test_coverage_is_nominal_on_data_from_a_gaussian_process(n, n_draws):
    """One new row for each of many independent draws: the number inside 80 % intervals is binomial."""
    inside = 0
    for seed in range(n_draws):
        X, y = _draw(np.random.default_rng(1000 + seed), n + 1, 0.1)
        mean, std = GPRegressor(n_restarts=0).fit(X[:-1], y[:-1]).predict(X[-1:], return_std=True)
        inside += int(abs(y[-1] - mean[0]) < 1.2816 * std[0])
    low, high = binom.interval(0.99, n_draws, 0.8)
    assert low <= inside <= high


def test_epistemic_part_grows_with_distance_and_noise_does_not(table):
    X, y = table
    parts = GPRegressor().fit(X, y).predict_parts(np.vstack([X[:1], X[:1] * 0 + [5, 50, 0.5, 15]]))
    assert parts["epistemic"][1] > 2 * parts["epistemic"][0]
    assert parts["aleatoric"].nunique() == 1
    assert np.allclose(parts["std"] ** 2, parts["epistemic"] ** 2 + parts["aleatoric"] ** 2)


# --- the protocol ---
def test_parts_and_std_agree_and_large_predictions_are_cut_without_a_trace(table):
    X, y = table
    model = GPRegressor(n_restarts=0).fit(X, y)
    many = np.tile(X, (9, 1))  # 1 080 rows: more than are predicted at once
    mean, std = model.predict(many, return_std=True)
    parts = model.predict_parts(many)
    assert np.array_equal(mean, parts["mean"])
    assert np.array_equal(std, parts["std"])
    assert np.allclose(mean, np.tile(model.predict(X), 9))


def test_raw_descriptors_with_gaps_and_constant_columns(table):
    X, y = table
    frame = pd.DataFrame(np.column_stack([X, np.ones(120), np.full(120, np.nan), X[:, 0]]), columns=list("abcdefg"))
    frame.iloc[::20, 1] = np.nan
    model = GPRegressor(n_restarts=0).fit(frame, y)
    assert np.isfinite(model.predict(frame, return_std=True)).all()
    assert model.inputs_.transform(X[:1].repeat(7, 1)[:, :7]).shape == (1, 4)


def test_same_seed_same_answer_whatever_the_threads(table):
    """Sums in another order move the end of the search in the 7th digit: hence a tolerance between thread numbers."""
    X, y = table
    before = torch.get_num_threads()
    try:
        runs = []
        for threads in (1, 1, 2):
            torch.set_num_threads(threads)
            runs.append(np.concatenate(GPRegressor(random_state=3).fit(X, y).predict(X, return_std=True)))
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(runs[0], runs[1])
    assert np.allclose(runs[0], runs[2], rtol=1e-5)


def test_unit_of_the_target_does_not_matter(table):
    X, y = table
    kelvin, milli = GPRegressor().fit(X, y), GPRegressor().fit(X, 1000 * y - 5)
    for ours, theirs in zip(kelvin.predict(X, return_std=True), milli.predict(X, return_std=True), strict=True):
        assert np.allclose(theirs, 1000 * ours - 5 * (ours is not theirs and ours.mean() > 100), rtol=1e-4)


def test_tuning_by_a_score_of_the_distribution(table):
    from scipy.stats import norm

    X, y = table
    groups = np.arange(len(y))
    model = GPRegressor(n_restarts=0)

    def nll(truth, mean, std):
        return -norm.logpdf(truth, mean, std).mean()

    cv = GroupKFold(3, shuffle=True, random_state=0)
    found = tune(model, X, y, groups=groups, cv=cv, n_iter=6, space=model.TUNE_SPACE, loss=nll, return_std=True)
    assert set(found.best_params) == {"nu", "noise"}
    assert found.history["nu"].isin([0.5, 1.5, 2.5]).all()
    line = found.history.iloc[0]
    losses = []
    for train, test in cv.split(X, y, groups):
        fitted = clone(model).set_params(nu=line["nu"], noise=line["noise"]).fit(X[train], y[train])
        losses.append(nll(y[test], *fitted.predict(X[test], return_std=True)))
    assert line["score"] == pytest.approx(-np.mean(losses))


@pytest.mark.parametrize(
    ("options", "message"), [({"kernel": "cosine"}, "choose 'matern', 'rbf' or 'tanimoto'"), ({"nu": 2}, "choose 0.5")]
)
def test_wrong_options_say_what_to_choose(table, options, message):
    with pytest.raises(ValueError, match=message):
        GPRegressor(**options).fit(*table)


# --- classification ---
@pytest.fixture(scope="module")
def classes():
    """Labels drawn with a known probability that depends on two of three columns."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 3)) * [1, 20, 0.1]
    truth = 1 / (1 + np.exp(-3 * np.sin(1.5 * X[:, 0]) - 0.05 * X[:, 1]))
    return X, np.where(rng.random(500) < truth, "yes", "no"), truth


def _elbo(model, X, y):
    """GPyTorch's own lower bound, with gradients left in the parameters."""
    process = model.model_.requires_grad_(True).train()
    likelihood = gpytorch.likelihoods.BernoulliLikelihood().double()
    X = torch.as_tensor(model.inputs_.transform(X) if model.kernel != "tanimoto" else X)
    bound = gpytorch.mlls.VariationalELBO(likelihood, process, len(y))
    value = len(y) * bound(process(X), torch.as_tensor((y == model.classes_[1]).astype(float)))
    value.backward()
    return float(value.detach()), process


@pytest.mark.parametrize(("kernel", "n_inducing"), [("matern", 120), ("rbf", 40), ("tanimoto", 60)])
def test_lower_bound_is_gpytorchs_and_stands_at_its_maximum(classes, bits, kernel, n_inducing):
    X, y, _ = classes
    X, y = X[:120], y[:120]
    if kernel == "tanimoto":
        X, y = bits[0], bits[1] > np.median(bits[1])
    model = GPClassifier(kernel, n_inducing=n_inducing).fit(X, y)
    value, process = _elbo(model, X, y)
    assert model.elbo_ == pytest.approx(value, abs=0.02)  # GPyTorch adds its jitter to the rows' variance too
    distribution = process.variational_strategy._variational_distribution
    assert float(distribution.variational_mean.grad.abs().max()) < 0.05
    assert float(distribution.chol_variational_covar.grad.abs().max()) < 0.05
    # the hyperparameters: the bound's slope and the slope of the priors on the logarithms cancel
    slope = float(process.covar_module.raw_outputscale.grad)
    assert slope == pytest.approx(np.log(model.hyperparameters_["outputscale"] / model.outputscale), abs=0.05)
    # any other posterior has a lower bound
    for parameter in (distribution.variational_mean, distribution.chol_variational_covar):
        with torch.no_grad():
            parameter.mul_(1.05)
        assert _elbo(model, X, y)[0] < value
        with torch.no_grad():
            parameter.div_(1.05)


def test_posterior_of_one_repeated_row_is_that_of_quadrature():
    """12 rows at one place, 9 of one class: mean and variance of the latent value against the exact posterior."""
    X, y = np.repeat([[0.0, 1.0], [50.0, 1.5]], 12, axis=0), np.array([1] * 9 + [0] * 3 + [0] * 9 + [1] * 3)
    model = GPClassifier("rbf", outputscale=2.0).fit(X, y)
    value, (mean, variance) = model.hyperparameters_, model._latent(model.inputs_.transform(X[:1]))
    from scipy.stats import multivariate_normal, norm

    distance = np.diff(model.inputs_.transform(X)[[0, 12]], axis=0)
    share = np.exp(-np.sum((distance / value["lengthscale"]) ** 2) / 2)
    prior = multivariate_normal([value["mean"]] * 2, value["outputscale"] * np.array([[1, share], [share, 1]]))

    f, g = np.meshgrid(np.linspace(-6, 6, 601), np.linspace(-6, 6, 601), indexing="ij")
    weight = prior.pdf(np.dstack([f, g])) * norm.cdf(f) ** 9 * norm.cdf(-f) ** 3 * norm.cdf(-g) ** 9 * norm.cdf(g) ** 3
    exact = np.average(f, weights=weight)
    assert mean[0] == pytest.approx(exact, abs=0.03)  # a normal posterior is nearly right with 12 rows
    assert variance[0] == pytest.approx(np.average((f - exact) ** 2, weights=weight), rel=0.1)


def test_probabilities_are_close_to_the_truth(classes):
    X, y, truth = classes
    model = GPClassifier(n_inducing=150).fit(X[:350], y[:350])
    assert model.classes_.tolist() == ["no", "yes"]
    probability = model.predict_proba(X[350:])[:, 1]
    assert np.abs(probability - truth[350:]).mean() < 0.1
    n_yes = (y[350:] == "yes").sum()  # as many as predicted, within 3 standard errors
    assert abs(probability.sum() - n_yes) < 3 * np.sqrt((truth[350:] * (1 - truth[350:])).sum())


def test_entropy_parts_add_up_and_follow_the_distance(classes):
    X, y, _ = classes
    model = GPClassifier(n_inducing=100).fit(X[:100], y[:100])
    far = np.vstack([X[:1], [[4.9, -98, 0.49]]])
    parts = model.predict_parts(far)
    assert np.allclose(parts["total"], parts["epistemic"] + parts["aleatoric"])
    assert np.allclose(parts["probability"], model.predict_proba(far)[:, 1], atol=1e-3)
    assert parts["epistemic"][1] > parts["epistemic"][0]


def test_more_inducing_points_raise_the_bound_and_approach_all_rows(classes):
    X, y, _ = classes
    X, y = X[:160], y[:160]
    models = [GPClassifier(n_inducing=m).fit(X, y) for m in (40, 100, 1000)]
    assert [len(model.model_.variational_strategy.inducing_points) for model in models] == [40, 100, 160]
    assert models[0].elbo_ < models[1].elbo_ < models[2].elbo_
    few, more, every = (model.predict_proba(X)[:, 1] for model in models)
    assert np.abs(more - every).mean() < 0.7 * np.abs(few - every).mean()


def test_classifier_same_seed_same_answer_whatever_the_threads(classes):
    X, y, _ = classes
    before = torch.get_num_threads()
    try:
        runs = []
        for threads, seed in ((1, 0), (1, 0), (2, 0), (1, 1)):
            torch.set_num_threads(threads)
            runs.append(GPClassifier(n_inducing=30, random_state=seed).fit(X[:150], y[:150]).predict_proba(X))
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(runs[0], runs[1])
    assert np.allclose(runs[0], runs[2], atol=1e-4)  # as for the regressor
    assert not np.allclose(runs[0], runs[3], atol=1e-4)


def test_classifier_on_raw_descriptors_and_on_lopsided_classes(classes):
    X = classes[0]
    frame = pd.DataFrame(np.column_stack([X, np.ones(500), np.full(500, np.nan)]), columns=list("abcde"))[:80]
    frame.iloc[::20, 1] = np.nan
    rare = np.arange(80) < 4
    probability = GPClassifier(n_inducing=80).fit(frame, rare).predict_proba(frame)
    assert np.isfinite(probability).all()
    assert probability[:, 1].mean() == pytest.approx(rare.mean(), abs=0.03)


@pytest.mark.parametrize("outputscale", [16.0, 1e4, 1e6])
def test_classes_that_can_be_told_apart_without_a_mistake_settle(outputscale):
    """As on an embedding that was learned on the same molecules: the bound is flat, and full steps swing for ever."""
    rng, code = np.random.default_rng(0), np.arange(80) % 2
    X = rng.normal(size=(80, 8))
    X[:, 0] = (2 * code - 1) * (1 + rng.exponential(size=80))
    model = GPClassifier(outputscale=outputscale, random_state=0).fit(X, code)
    assert (model.predict(X) == code).all()
    assert 80 * np.log(0.5) < model.elbo_ < 0  # better than knowing nothing
