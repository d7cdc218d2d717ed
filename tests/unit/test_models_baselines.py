"""Baselines: columns against hand counts, kernels against closed forms, and each learns what it can learn."""

import warnings

import numpy as np
import pandas as pd
import pytest
from rdkit import DataStructs
from rdkit.Chem import MolFromSmiles
from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, WhiteKernel
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from course_lib.models import baselines as b
from course_lib.models import tune
from course_lib.molecules import MoleculeError
from course_lib.splits import GroupKFold

# Which of scikit-learn's checks our own regressors do not pass, and why. Empty: they pass all.
EXPECTED_FAILURES: dict[str, str] = {}


@parametrize_with_checks(
    [b.PLS(), b.GaussianProcess(n_restarts=0)], expected_failed_checks=lambda estimator: EXPECTED_FAILURES
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def molecules():
    """90 molecules of a few families; y is additive in atoms and groups, the size of a boiling point in K."""
    tails = ["O", "N", "Cl", "C(=O)O", "C(=O)C", "OC", "C#N", "F", "S"]
    smiles = np.array(["C" * n + tail for n in range(1, 11) for tail in tails], dtype=object)
    worth = dict(zip(tails, (90, 40, 60, 150, 70, 20, 100, -10, 65), strict=True))
    y = np.array([150 + 28 * n + worth[tail] for n in range(1, 11) for tail in tails], dtype=float)
    return smiles, y + np.random.default_rng(0).normal(0, 2, len(y))


@pytest.fixture(scope="module")
def table():
    """80 molecules with 40 descriptors, some with gaps, one constant, one almost constant; y is linear in two."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(80, 40)), columns=[f"d{i}" for i in range(40)])
    y = 300 + 40 * X["d0"].to_numpy() - 25 * X["d1"].to_numpy() + rng.normal(0, 3, 80)
    X.loc[::7, "d5"] = np.nan
    X["d6"] = 1.0
    return X, y


def test_atom_counts_by_hand():
    counts = pd.DataFrame(b.AtomCounts().fit_transform(["CCO", "*CC(*)Cl", "[Na+].[Cl-]", "c1ccccc1"]))
    counts.columns = b.AtomCounts().get_feature_names_out()
    ethanol, unit, salt, benzene = (counts.loc[i] for i in range(4))
    assert (ethanol["C"], ethanol["H"], ethanol["O"], ethanol["other"]) == (2, 6, 1, 0)
    assert ethanol["molecular_weight"] == pytest.approx(46.07, abs=0.01)
    assert (unit["C"], unit["H"], unit["Cl"], unit["other"]) == (2, 3, 1, 0)  # attachment points are no atoms
    assert (salt["Cl"], salt["other"], benzene["H"]) == (1, 1, 6)


def test_environment_counts():
    model = b.EnvironmentCounts().fit(["CCO", "CCCO"])
    counts = model.transform(["CCO", "CCCCCO"])
    assert counts.shape == (2, len(model.environments_)) == (2, len(model.get_feature_names_out()))
    assert counts[0].sum() == 6  # three atoms, each at radius 0 and 1
    assert model.unknown_share(["CCO", "CCCO"]).tolist() == [0, 0]
    assert 0 < model.unknown_share(["CCCl"])[0] < 1
    assert (model.transform(["FCl"]) == 0).all()


@pytest.mark.parametrize("model", [b.ridge_counts(), b.group_contribution(), b.tanimoto_gp(n_bits=512)])
def test_smiles_models_take_a_list_and_name_the_bad_row(molecules, model):
    smiles, y = molecules
    model.fit(smiles[:20], y[:20])
    assert np.allclose(model.predict(smiles[:20].tolist()), model.predict(smiles[:20, None]))
    with pytest.raises(MoleculeError, match="row 1: 'C1CC'"):
        model.predict(["CCO", "C1CC"])
    with pytest.raises(ValueError, match="one a molecule, got an array of shape"):
        model.predict(np.array([["CCO", "CC"], ["CCO", "CC"]], dtype=object))


def test_smiles_models_learn_what_they_can(molecules):
    smiles, y = molecules

    def score(model):
        cv = GroupKFold(5, shuffle=True, random_state=0)
        return -cross_val_score(model, smiles, y, groups=smiles, cv=cv, scoring="neg_mean_absolute_error").mean()

    error = {name: score(getattr(b, name)()) for name in ("mean", "ridge_counts", "group_contribution", "tanimoto_gp")}
    assert error["group_contribution"] < 6  # y is additive in groups: close to its noise of 2
    assert error["group_contribution"] < error["ridge_counts"] < 0.7 * error["mean"]
    assert error["tanimoto_gp"] < 0.7 * error["mean"]


def test_tanimoto_kernel_is_rdkits_similarity_and_positive_semidefinite():
    smiles = ["CCO", "CCCO", "c1ccccc1O", "CC(=O)OC", "CCO", "C"]
    generator = GetMorganGenerator(radius=3, fpSize=256)
    fingerprints = [generator.GetFingerprint(MolFromSmiles(s)) for s in smiles]
    bits = np.array([list(f) for f in fingerprints], dtype=float)
    kernel = b.TanimotoKernel()
    matrix = kernel(bits)
    expected = [DataStructs.BulkTanimotoSimilarity(f, fingerprints) for f in fingerprints]
    assert np.allclose(matrix, expected)
    assert np.allclose(kernel(bits[:2], bits), matrix[:2])
    assert np.allclose(kernel.diag(bits), 1)
    assert kernel(np.zeros((2, 4))).tolist() == [[1, 1], [1, 1]]
    random = (np.random.default_rng(0).random((60, 30)) < 0.3).astype(float)
    assert np.linalg.eigvalsh(kernel(random)).min() > -1e-10
    assert not kernel.is_stationary()
    with pytest.raises(ValueError, match="0 and 1 only"):
        kernel(2 * bits)
    with pytest.raises(ValueError, match="gradient"):
        kernel(bits, bits, eval_gradient=True)


def test_tanimoto_gp_is_the_closed_form():
    rng = np.random.default_rng(1)
    bits, y = (rng.random((25, 40)) < 0.3).astype(float), rng.normal(5, 2, 25)
    model = b.GaussianProcess("tanimoto", n_restarts=0).fit(bits, y)
    signal, noise = (np.exp(value) for value in model.model_.kernel_.theta)
    new = (rng.random((6, 40)) < 0.3).astype(float)
    kernel = b.TanimotoKernel()
    inverse = np.linalg.inv(signal * kernel(bits) + (noise + 1e-8) * np.eye(25))
    cross = signal * kernel(new, bits)
    mean = y.mean() + y.std() * cross @ inverse @ ((y - y.mean()) / y.std())
    variance = signal + noise - np.einsum("ij,jk,ik->i", cross, inverse, cross)
    predicted, std = model.predict(new, return_std=True)
    assert np.allclose(predicted, mean)
    assert np.allclose(std, y.std() * np.sqrt(variance))


def test_gaussian_process_optimum_is_no_worse_than_scikit_learns():
    rng = np.random.default_rng(0)
    bits = (rng.random((40, 50)) < 0.3).astype(float)
    y = bits[:, 0] * 3 + bits[:, 1] + 0.3 * rng.normal(size=40)
    ours = b.GaussianProcess("tanimoto", n_restarts=1).fit(bits, y).model_
    kernel = ConstantKernel(1.0, (1e-2, 1e3)) * b.TanimotoKernel() + WhiteKernel(0.1, (1e-4, 10.0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = GaussianProcessRegressor(kernel, alpha=1e-8, normalize_y=True, n_restarts_optimizer=5, random_state=0)
        theirs.fit(bits, y)
    assert ours.log_marginal_likelihood_value_ > theirs.log_marginal_likelihood_value_ - 1e-3


def test_gaussian_process_finds_the_noise_and_grows_unsure_far_away():
    rng = np.random.default_rng(0)
    X = rng.uniform(-3, 3, (120, 1))
    y = 10 * np.sin(X[:, 0]) + rng.normal(0, 2, 120)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = b.GaussianProcess(random_state=0).fit(X, y)
        _, std = model.predict(np.array([[0.0], [30.0]]), return_std=True)
        exact = b.GaussianProcess().fit(X, 10 * np.sin(X[:, 0]))
    assert std[0] == pytest.approx(2, abs=0.5)
    assert std[1] > 2 * std[0]
    assert model.at_bounds_ == []
    assert "k2__noise_level" in exact.at_bounds_
    with pytest.raises(ValueError, match="kernel is 'rbf': choose 'matern' or 'tanimoto'"):
        b.GaussianProcess("rbf").fit(X, y)


@pytest.mark.parametrize("name", ["random_forest", "pls", "gp_matern", "mlp"])
def test_descriptor_models_learn_without_a_warning(table, name):
    X, y = table
    model = getattr(b, name)()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predicted = model.fit(X[:60], y[:60]).predict(X[60:])
    assert predicted.shape == (20,)
    error, constant = np.abs(predicted - y[60:]).mean(), np.abs(y[60:] - y[:60].mean()).mean()
    assert error < {"random_forest": 0.8, "mlp": 0.6}.get(name, 0.5) * constant
    assert np.array_equal(predicted, getattr(b, name)().fit(X[:60], y[:60]).predict(X[60:]))


def test_gp_matern_gives_a_standard_deviation(table):
    X, y = table
    mean, std = b.gp_matern().fit(X[:60], y[:60]).predict(X[60:], return_std=True)
    assert mean.shape == std.shape == (20,)
    assert (std > 0).all()


def test_one_odd_descriptor_does_not_throw_pls_off(table):
    X, y = table
    odd = X.copy()
    odd["d7"] = np.where(np.arange(80) == 3, 0.1, 0.0)  # hardly varies in training ...
    new = odd[60:].copy()
    new.loc[60, "d7"] = 1000.0  # ... and is far away for one test molecule
    model = b.pls().fit(odd[:60], y[:60])
    assert abs(model.predict(new)[0] - model.predict(odd[60:])[0]) < 100
    assert np.allclose(model.predict(new)[1:], model.predict(odd[60:])[1:])


def test_pls_chooses_components(table):
    X, y = table
    features = X.drop(columns=["d5", "d6"]).to_numpy()
    assert b.PLS().fit(features, y).n_components_ in range(1, 11)
    assert b.PLS(3).fit(features, y).n_components_ == 3
    assert b.PLS(50).fit(features[:8], y[:8]).n_components_ == 7
    two = np.column_stack([features[:, 0], features[:, 1]])
    assert np.abs(b.PLS().fit(two, y).predict(two) - y).mean() < 3.5  # both components needed, noise sd 3


def test_mean_is_the_mean():
    assert b.mean().fit(["CCO", "C"], [1.0, 3.0]).predict(["CCC"]).tolist() == [2.0]


def test_a_baseline_pipeline_can_be_tuned(table):
    X, y = table
    result = tune(
        b.random_forest(5), X, y, groups=np.arange(80), cv=GroupKFold(3), n_iter=2, method="random",
        space={"min_samples_leaf": ("int", 1, 10)},
    )  # fmt: skip
    assert result.best_estimator[-1].min_samples_leaf == result.best_params["min_samples_leaf"]
