"""What the models that predict a distribution share, and the bootstrap ensemble built on it."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks

from course_lib.models import BootstrapEnsemble
from course_lib.models.predictive import Inputs, Moments, PredictiveClassifier, PredictiveRegressor, entropy_parts


class Line(PredictiveRegressor):
    """Least squares on the first column, with a constant noise and no epistemic part."""

    def _fit(self, X, y):
        self.slope_ = X[:, 0] @ y / (X[:, 0] @ X[:, 0])
        self.noise_ = np.var(y - self.slope_ * X[:, 0])

    def _moments(self, X):
        mean = self.slope_ * X[:, 0]
        return Moments(mean, np.full(len(X), np.nan), np.full(len(X), self.noise_))


class Both(Line):
    """The same with an epistemic variance of four times the noise."""

    def _moments(self, X):
        found = super()._moments(X)
        return found._replace(epistemic=4 * found.aleatoric)


class Threshold(PredictiveClassifier):
    """Two samples of a probability, by the sign of the first column."""

    def _fit(self, X, t):
        self.turned_ = np.corrcoef(X[:, 0], t)[0, 1] < 0

    def _probability_samples(self, X):
        p = np.where((X[:, 0] > 0) != self.turned_, 0.8, 0.1)
        return np.array([p, p + 0.1])


# --- inputs ---
def test_bits_stay_bits_and_constant_columns_go():
    X = np.array([[0, 1, 1], [1, 1, 0], [0, 1, 0]])
    inputs = Inputs().fit(X)
    assert inputs.bits_
    assert np.array_equal(inputs.transform(X), X[:, [0, 2]])
    assert np.array_equal(inputs.transform([[1, 0, 1]]), [[1, 1]])


def test_bits_that_always_go_together_both_stay():
    X = np.array([[0, 0, 1], [1, 1, 0], [0, 0, 0]])
    assert np.array_equal(Inputs().fit(X).transform(X), X)


def test_descriptors_are_scaled_by_training_rows_and_cut_at_five():
    rng = np.random.default_rng(0)
    train, new = rng.normal(7, 3, size=(50, 2)), np.array([[1000.0, 7.0], [-1000.0, 7.0], [np.nan, 7.0]])
    inputs = Inputs().fit(train)
    assert not inputs.bits_
    scaled = inputs.transform(train)
    assert np.allclose(scaled.mean(axis=0), 0)
    assert np.allclose(scaled.std(axis=0), 1)
    median = (np.median(train[:, 0]) - train[:, 0].mean()) / train[:, 0].std()
    assert np.allclose(inputs.transform(new)[:, 0], [5, -5, median])
    # what is learned does not depend on the rows that are predicted, alone or together
    assert np.array_equal(inputs.transform(new[2:]), inputs.transform(new)[2:])


def test_a_gap_makes_a_table_of_bits_one_of_descriptors():
    X = np.array([[0, 1], [1, np.nan], [0, 0], [1, 1], [0, 0], [1, 0]], dtype=float)
    assert not Inputs().fit(X).bits_


# --- regressors ---
@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(1)
    x = rng.normal(size=200)
    return np.column_stack([1e3 * x, np.ones(200), np.full(200, np.nan)]), 300 + 20 * x + 5 * rng.normal(size=200)


def test_scaling_is_undone_and_parts_add_up(table):
    X, y = table
    slope, intercept = np.polyfit(X[:, 0], y, 1)
    noise = np.std(y - slope * X[:, 0] - intercept)
    mean, std = Line().fit(X, y).predict(X, return_std=True)
    assert np.allclose(mean, slope * X[:, 0] + intercept)
    assert np.allclose(std, noise)
    parts = Both().fit(X, y).predict_parts(X)
    assert np.allclose(parts["aleatoric"], noise)
    assert np.allclose(parts["epistemic"], 2 * noise)
    assert np.allclose(parts["std"] ** 2, parts["epistemic"] ** 2 + parts["aleatoric"] ** 2)
    assert np.allclose(parts["std"], Both().fit(X, y).predict(X, return_std=True)[1])


def test_a_missing_part_is_nan_and_not_zero(table):
    parts = Line().fit(*table).predict_parts(table[0])
    assert parts["epistemic"].isna().all()
    assert np.array_equal(parts["std"], parts["aleatoric"])


def test_scaling_is_learned_on_training_rows_only(table):
    X, y = table
    model = Line().fit(X[:100], y[:100])
    assert (model.y_mean_, model.y_scale_) == (y[:100].mean(), y[:100].std())
    assert np.allclose(model.inputs_.descriptors_.mean_, X[:100, 0].mean())
    assert np.array_equal(model.predict(X)[100:101], model.predict(X[100:101]))


def test_a_constant_target_is_predicted_without_division_by_zero(table):
    assert np.allclose(Line().fit(table[0], np.full(200, 7.0)).predict(table[0]), 7)


# --- classifiers ---
def test_entropy_parts_closed_form():
    samples = np.array([[0.5, 1.0, 0.2], [0.5, 0.0, 0.4]])
    parts = entropy_parts(samples)

    def entropy(p):
        return -p * np.log(p) - (1 - p) * np.log(1 - p)

    assert np.allclose(parts["probability"], [0.5, 0.5, 0.3])
    assert np.allclose(parts["total"], [np.log(2), np.log(2), entropy(0.3)])
    assert np.allclose(parts["aleatoric"], [np.log(2), 0, (entropy(0.2) + entropy(0.4)) / 2])
    assert np.allclose(parts["epistemic"], parts["total"] - parts["aleatoric"])
    # the epistemic part is the mean divergence of the samples from their mean
    p, q = samples[:, 2], 0.3
    divergence = np.mean(p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q)))
    assert parts["epistemic"][2] == pytest.approx(divergence)


def test_classifier_protocol(table):
    X = table[0]
    y = np.where(X[:, 0] > 0, "acid", "base")
    model = Threshold().fit(X, y)
    assert model.classes_.tolist() == ["acid", "base"]
    probability = model.predict_proba(X)
    assert np.allclose(probability.sum(axis=1), 1)
    assert np.array_equal(model.predict(X), np.where(probability[:, 1] > 0.5, "base", "acid"))
    assert model.score(X, y) > 0.95
    assert np.allclose(model.predict_parts(X)["probability"], probability[:, 1])


@pytest.mark.parametrize(
    ("labels", "message"), [("aaaa", "needs rows of 2 classes, got 1 class"), ("abca", "Only binary classification")]
)
def test_other_numbers_of_classes_are_refused(labels, message):
    X = np.random.default_rng(0).normal(size=(4, 2))
    with pytest.raises(ValueError, match=message):
        Threshold().fit(X, list(labels))


# --- the bootstrap ensemble ---
# The one list of scikit-learn checks that the ensemble does not pass, with reasons. Empty: it passes all.
EXPECTED_FAILURES: dict[str, str] = {}


@parametrize_with_checks(
    [BootstrapEnsemble(LinearRegression(), n_members=10)], expected_failed_checks=lambda estimator: EXPECTED_FAILURES
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def _noisy(rng, n, noise=1.0):
    X = rng.normal(size=(n, 3))
    return X, 10 + X @ [3.0, -2.0, 0.0] + noise * rng.normal(size=n)


def test_spread_is_the_sampling_error_of_least_squares():
    """For a linear model the epistemic variance has a closed form, noise x' (X'X)^-1 x; mean over 20 data sets."""
    ratio, noise = [], []
    new = np.random.default_rng(99).normal(size=(50, 3))
    for seed in range(20):
        X, y = _noisy(np.random.default_rng(seed), 60)
        parts = BootstrapEnsemble(LinearRegression(), n_members=60, random_state=seed).fit(X, y).predict_parts(new)
        full, at = np.column_stack([np.ones(60), X]), np.column_stack([np.ones(50), new])
        exact = np.einsum("ij,jk,ik->i", at, np.linalg.inv(full.T @ full), at)
        ratio.append(np.mean(parts["epistemic"] ** 2 / exact))
        noise.append(parts["aleatoric"][0] ** 2)
    assert np.mean(ratio) == pytest.approx(1, abs=0.15)
    assert np.mean(noise) == pytest.approx(1, abs=0.15)


def test_both_parts_cover_new_rows():
    inside = []
    for seed in range(20):
        X, y = _noisy(np.random.default_rng(seed), 90)
        mean, std = BootstrapEnsemble(DecisionTreeRegressor()).fit(X[:60], y[:60]).predict(X[60:], return_std=True)
        inside.append(np.mean(np.abs(y[60:] - mean) < 1.2816 * std))
    assert np.mean(inside) == pytest.approx(0.8, abs=0.06)


def test_members_that_predict_a_std_bring_their_own_noise():
    from sklearn.gaussian_process.kernels import RBF, WhiteKernel

    X, y = _noisy(np.random.default_rng(0), 40)
    process = GaussianProcessRegressor(RBF(2.0) + WhiteKernel(0.1), optimizer=None)
    model = BootstrapEnsemble(process, n_members=5).fit(X, y)
    found = np.array([member.predict(model.inputs_.transform(X), return_std=True) for member in model.members_])
    parts = model.predict_parts(X)
    assert np.isnan(model.noise_)
    assert np.allclose(parts["aleatoric"], np.sqrt((found[:, 1] ** 2).mean(axis=0)) * model.y_scale_)
    assert np.allclose(parts["epistemic"], found[:, 0].std(axis=0, ddof=1) * model.y_scale_)


def test_whole_groups_are_drawn():
    """Each member fits the mean of its rows: with 6 groups of 10 equal rows the means are those of 6 draws."""
    y = np.repeat([0.0, 1, 2, 3, 4, 5], 10)
    X, groups = np.random.default_rng(0).normal(size=(60, 2)), np.repeat(list("abcdef"), 10)
    by_group = BootstrapEnsemble(DummyRegressor(), n_members=300).fit(X, y, groups=groups).predict_parts(X)
    by_row = BootstrapEnsemble(DummyRegressor(), n_members=300).fit(X, y).predict_parts(X)
    assert by_group["epistemic"][0] == pytest.approx(y.std() / np.sqrt(6), rel=0.15)
    assert by_row["epistemic"][0] == pytest.approx(y.std() / np.sqrt(60), rel=0.15)
    with pytest.raises(ValueError, match="one label a row"):
        BootstrapEnsemble(DummyRegressor()).fit(X, y, groups=groups[:5])
    with pytest.raises(ValueError, match="one group"):
        BootstrapEnsemble(DummyRegressor()).fit(X, y, groups=["a"] * 60)


def test_members_of_the_course_get_rows_as_they_came(table):
    X, y = table
    frame = pd.DataFrame(X, columns=["weight", "constant", "empty"])
    parts = BootstrapEnsemble(Line(), n_members=10).fit(frame, y).predict_parts(frame)
    assert np.allclose(parts["aleatoric"], 5, rtol=0.2)
    assert parts["epistemic"].max() < parts["aleatoric"].min()


def test_same_seed_same_answer():
    X, y = _noisy(np.random.default_rng(0), 50)
    model = BootstrapEnsemble(DecisionTreeRegressor(max_features=1), random_state=3)
    one, two = (clone(model).fit(X, y).predict(X, return_std=True) for _ in range(2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, clone(model).set_params(random_state=4).fit(X, y).predict(X, return_std=True))


def test_too_few_members_are_refused():
    X, y = _noisy(np.random.default_rng(0), 20)
    with pytest.raises(ValueError, match="a spread needs at least 2"):
        BootstrapEnsemble(LinearRegression(), n_members=1).fit(X, y)
