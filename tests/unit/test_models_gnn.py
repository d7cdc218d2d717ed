"""Graph models: the layer, invariances, the protocol for SMILES, training at small n, honest variances."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from gpytorch.mlls import VariationalELBO
from scipy.stats import norm
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from course_lib.datasets import load
from course_lib.featurize import graphs
from course_lib.featurize.variants import enumerate_smiles
from course_lib.models import GNNClassifier, GNNEmbedding, GNNGPClassifier, GNNGPRegressor, GNNRegressor, tune
from course_lib.models.gnn import GIN, batch
from course_lib.models.gnn_gp import _HeldOutGP
from course_lib.models.gp import PRIOR_SD, GPRegressor
from course_lib.models.network import seeded
from course_lib.models.network import train as train_network
from course_lib.molecules import MoleculeError
from course_lib.splits import GroupKFold

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = {"n_members": 1, "hidden": 16, "n_layers": 2, "dim": 8, "max_steps": 25}
REGRESSORS, CLASSIFIERS = [GNNRegressor, GNNGPRegressor], [GNNClassifier, GNNGPClassifier]
ALL = [*REGRESSORS, *CLASSIFIERS, GNNEmbedding]
ODD = ["C", "[Na+].[Cl-]", "*CC(*)c1ccccc1", "CC(=O)[O-].[NH4+]", "C[Si](C)(C)C", "OB(O)c1ccccc1"]

# The one list of scikit-learn's checks that the graph models do not pass, with the reason. It is short because
# check_estimator leaves out, by the models' tags, every check that passes a table of numbers as X: the models take
# SMILES alone. What those checks are about is tested by hand below.
EXPECTED_FAILURES: dict[str, str] = {}


@pytest.fixture(scope="module")
def data():
    """60 molecules with their enthalpy of sublimation, kJ/mol."""
    whole = load("sublimation")
    return whole.subset(np.random.default_rng(0).permutation(len(whole))[:60])


@pytest.fixture(scope="module")
def fitted(data):
    """Each model, two members, fitted on the first 40 molecules."""
    high = np.where(data.y > np.median(data.y), "high", "low")
    return {
        kind: kind(**SMALL | {"n_members": 2}).fit(data.smiles[:40], (high if kind in CLASSIFIERS else data.y)[:40])
        for kind in ALL
    }


def answer(model, X):
    """Everything that a model says of X, one row a molecule."""
    if isinstance(model, GNNEmbedding):
        return model.transform(X)
    if hasattr(model, "predict_proba"):
        return model.predict_proba(X)
    return np.column_stack(model.predict(X, return_std=True))


# --- the network ---
def test_the_layer_is_pytorch_geometrics_gine():
    """Two networks with the same weights, theirs put together from GINEConv and its own pooling."""
    from torch_geometric.data import Batch, Data
    from torch_geometric.nn import GINEConv, global_add_pool, global_mean_pool

    molecules = graphs(["CC(=O)Oc1ccccc1C(=O)O", "C", "*CC(*)C#N", "[Na+].[Cl-]"])
    with seeded(0):
        ours = GIN(hidden=12, n_layers=3).eval()
    theirs = Batch.from_data_list(
        [
            Data(
                x=torch.tensor(graph.atoms).float(),
                edge_attr=torch.tensor(graph.bonds).float(),
                edge_index=torch.tensor(graph.edges).long(),
            )
            for graph in molecules
        ]
    )
    with torch.no_grad():
        h = ours.encoder(theirs.x)
        for bond, layer in zip(ours.bonds, ours.layers, strict=True):
            conv = GINEConv(layer)  # epsilon = 0, its own bond layer left out
            h = h + conv(h, theirs.edge_index, bond(theirs.edge_attr))
        expected = torch.cat([global_add_pool(h, theirs.batch) / 10, global_mean_pool(h, theirs.batch)], dim=1)
        assert torch.allclose(ours(batch(molecules)), expected, atol=1e-6)


def test_a_molecule_is_the_same_alone_and_in_company():
    molecules = graphs(["CCO", "c1ccccc1", *ODD])
    with seeded(1):
        network = GIN(hidden=16).eval()
    with torch.no_grad():
        together = network(batch(molecules))
        alone = torch.cat([network(batch([molecule])) for molecule in molecules])
    assert together.shape == (8, network.width)
    assert torch.allclose(together, alone, atol=1e-6)
    assert len(torch.unique(together.round(decimals=4), dim=0)) == 8


@pytest.mark.parametrize("kind", ALL)
def test_spelling_does_not_matter(kind, fitted):
    smiles = "CC(C)Cc1ccc([C@@H](C)C(=O)[O-])cc1"
    others = enumerate_smiles([smiles], 5)["smiles"].tolist()
    found = answer(fitted[kind], [smiles, *others])
    assert np.allclose(found[1:], found[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ALL)
def test_predictions_do_not_depend_on_company_or_on_earlier_predictions(kind, fitted, data):
    """For the graph-GP: test inputs never enter the covariance of the training part."""
    model, new = fitted[kind], data.smiles[40:]
    together = answer(model, new)
    assert np.allclose(np.vstack([answer(model, [smiles]) for smiles in new]), together, rtol=1e-5, atol=1e-5)
    assert np.allclose(answer(model, np.tile(new, 30))[-len(new) :], together, rtol=1e-5, atol=1e-5)
    assert np.array_equal(answer(model, new), together)


@pytest.mark.parametrize("kind", ALL)
def test_single_atoms_fragments_and_polymers(kind, data):
    X = [*ODD, *data.smiles[:10]]
    model = kind(**SMALL).fit(X, np.arange(16) % 2 if kind in CLASSIFIERS else np.arange(16.0))
    found = answer(model, ODD)
    assert len(found) == len(ODD)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("n", [2, 11])
def test_very_few_rows(kind, n):
    X = ["C", "CC", "CCO", "CO", "CCCC", "c1ccccc1", "CN", "CCN", "O", "CCCO", "COC", "CC=O"][:n]
    model = kind(**SMALL).fit(X, np.arange(n) % 2 if kind in CLASSIFIERS else np.arange(float(n)))
    assert np.isfinite(answer(model, X)).all()


# --- training ---
@pytest.mark.parametrize("kind", ALL)
def test_at_30_molecules_parameters_move_and_the_loss_falls(kind, data):
    X, y = data.smiles[:30], data.y[:30]
    y = (y > np.median(y)).astype(int) if kind in CLASSIFIERS else y
    start = kind(**{**SMALL, "max_steps": 1, "learning_rate": 1e-12}).fit(X, y).members_[0].state_dict()
    model = kind(**SMALL).fit(X, y)
    after = model.members_[0].state_dict()
    still = [name for name in start if torch.allclose(start[name], after[name], atol=1e-6)]
    assert still == []
    loss = model.histories_[0]["training"]
    assert loss.iloc[-3:].mean() < 0.95 * loss.iloc[0]
    assert len(model.held_[0]) == round(0.15 * 30)


@pytest.mark.parametrize("kind", ALL)
def test_one_seed_one_answer_and_nothing_of_the_callers_stream(kind, data):
    X, y = data.smiles[:25], np.arange(25) % 2 if kind in CLASSIFIERS else data.y[:25]
    options = {**SMALL, "max_steps": 4, "dropout": 0.2}
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first = answer(kind(**options).fit(X, y), X)
    assert torch.rand(1) == expected
    torch.manual_seed(99)
    assert np.array_equal(answer(kind(**options).fit(X, y), X), first)
    assert not np.allclose(answer(kind(**options, random_state=1).fit(X, y), X), first)


def test_two_threads_give_what_one_gives(data):
    """64 features for some 1 200 bonds: large enough for torch to share the work out."""
    X, y = np.tile(data.smiles, 2), np.tile(data.y, 2)
    options = {"n_members": 1, "hidden": 64, "batch_size": 60, "max_steps": 4, "n_layers": 2}
    one = GNNRegressor(**options).fit(X, y).predict(X)
    torch.set_num_threads(2)
    try:
        assert np.allclose(GNNRegressor(**options).fit(X, y).predict(X), one, rtol=1e-6)
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("kind", REGRESSORS)
def test_unit_and_origin_of_the_target_do_not_matter(kind, data):
    X, y = data.smiles[:30], data.y[:30]
    mean, std = kind(**SMALL).fit(X, y).predict(X, return_std=True)
    other_mean, other_std = kind(**SMALL).fit(X, 1000 * y + 5e4).predict(X, return_std=True)
    assert np.allclose(other_mean, 1000 * mean + 5e4, rtol=1e-3)
    assert np.allclose(other_std, 1000 * std, rtol=1e-2)


def test_learns_what_a_graph_says():
    """The number of oxygen atoms, from 150 molecules: 50 others are told to a fraction of the spread."""
    smiles = load("sublimation").smiles[:200]
    oxygens = np.array([text.upper().count("O") for text in smiles], dtype=float)
    model = GNNRegressor(1, hidden=32, n_layers=1, max_steps=250, learning_rate=5e-3).fit(smiles[:150], oxygens[:150])
    wrong = oxygens[150:] - model.predict(smiles[150:])
    assert np.mean(wrong**2) < 0.05 * np.var(oxygens[150:])


# --- distributions ---
def test_noise_is_the_error_on_the_rows_held_back(fitted, data):
    model = fitted[GNNRegressor]
    outputs = model._outputs(graphs(data.smiles[:40]))
    scaled = (data.y[:40] - model.y_mean_) / model.y_scale_
    errors = [np.mean((out[held] - scaled[held]) ** 2) for out, held in zip(outputs, model.held_, strict=True)]
    assert model.noise_ == pytest.approx(np.mean(errors), rel=1e-4)
    assert set(model.held_[0]) != set(model.held_[1])


@pytest.mark.parametrize("kind", REGRESSORS)
def test_parts_of_the_variance_add_up(kind, fitted, data):
    mean, std = fitted[kind].predict(data.smiles, return_std=True)
    parts = fitted[kind].predict_parts(data.smiles)
    assert np.allclose(parts["mean"], mean)
    assert np.allclose(parts["std"], std)
    assert np.allclose(parts["epistemic"] ** 2 + parts["aleatoric"] ** 2, std**2)
    assert (parts[["epistemic", "aleatoric"]] > 0).all(axis=None)
    assert parts["aleatoric"].nunique() == 1


def test_a_single_network_has_no_epistemic_part(data):
    X, y = data.smiles[:20], data.y[:20]
    parts = GNNRegressor(**SMALL).fit(X, y).predict_parts(X)
    assert parts["epistemic"].isna().all()
    assert np.allclose(parts["std"], parts["aleatoric"])
    single = GNNClassifier(**SMALL).fit(X, np.arange(20) % 2)
    with pytest.raises(NotImplementedError, match="GNNClassifier has no posterior samples"):
        single.predict_parts(X)


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_parts_of_the_entropy_add_up(kind, fitted, data):
    parts, p = fitted[kind].predict_parts(data.smiles), fitted[kind].predict_proba(data.smiles)
    assert fitted[kind].classes_.tolist() == ["high", "low"]
    assert np.allclose(p.sum(axis=1), 1)
    assert np.allclose(parts["probability"], p[:, 1])
    assert np.allclose(parts["epistemic"] + parts["aleatoric"], parts["total"])
    assert (parts["epistemic"] > 0).any()
    assert set(fitted[kind].predict(data.smiles)) <= {"high", "low"}


def test_the_process_learns_its_noise_from_rows_that_are_new_to_the_embedding():
    """Planted overfitting: of training rows the feature tells the target exactly, of new ones to 0.5 deviations."""
    rng = np.random.default_rng(0)
    y, new = rng.normal(size=200), rng.normal(size=500)
    feature, held = y.copy(), np.arange(0, 200, 4)
    feature[held] += 0.5 * rng.normal(size=len(held))
    seen = new + 0.5 * rng.normal(size=500)
    honest = _HeldOutGP(held).fit(feature[:, None], y)
    mean, std = honest.predict(seen[:, None], return_std=True)
    assert np.mean(((new - mean) / std) ** 2) == pytest.approx(1, abs=0.35)
    rest = np.setdiff1d(np.arange(200), held)
    mean, std = GPRegressor().fit(feature[rest, None], y[rest]).predict(seen[:, None], return_std=True)
    assert np.mean(((new - mean) / std) ** 2) > 4


def test_held_out_density_against_the_closed_form():
    """At the hyperparameters found, no nearby ones give the held rows a higher density, by numpy alone."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(40, 3))
    y = np.sin(X[:, 0]) + 0.3 * rng.normal(size=40)
    held, rest = np.arange(12), np.arange(12, 40)
    gp = _HeldOutGP(held).fit(X, y)
    Z, t = gp.inputs_.transform(X), (y - gp.y_mean_) / gp.y_scale_
    distance = np.linalg.norm(Z[:, None] - Z[None], axis=2)
    centre = np.log([np.median(distance[np.triu_indices(40, 1)]), 1.0, gp.noise])
    sd = np.array([PRIOR_SD[name] for name in ("lengthscale", "outputscale", "noise")])

    def value(logs):
        lengthscale, outputscale, noise = np.exp(logs)
        r = np.sqrt(3) * distance / lengthscale
        K = outputscale * (1 + r) * np.exp(-r)
        inverse = np.linalg.inv(K[np.ix_(rest, rest)] + noise * np.eye(28))
        level = (inverse @ t[rest]).sum() / inverse.sum()
        expected = level + K[np.ix_(held, rest)] @ inverse @ (t[rest] - level)
        across = K[np.ix_(held, rest)]
        variance = outputscale + noise - np.einsum("ij,jk,ik->i", across, inverse, across)
        return norm.logpdf(t[held], expected, np.sqrt(variance)).sum() - np.sum(((logs - centre) / sd) ** 2) / 2

    best = np.log([gp.hyperparameters_[name] for name in ("lengthscale", "outputscale", "noise")])
    around = [value(best + step) for step in 0.05 * np.vstack([np.eye(3), -np.eye(3)])]
    assert max(around) < value(best) + 1e-6
    assert value(best) > value(centre)


def test_network_and_process_of_the_classifier_hold_back_the_same_rows(data, monkeypatch):
    used, counted = [], []

    def recording(process, loss, n_rows, *, score, **options):
        def watched(rows):
            used.append(rows.numpy())
            return score(rows)

        return train_network(process, loss, n_rows, score=watched, **options)

    def counting(likelihood, process, num_data):
        counted.append(num_data)
        return VariationalELBO(likelihood, process, num_data)

    monkeypatch.setattr("course_lib.models.gnn_gp.train", recording)
    monkeypatch.setattr("course_lib.models.gnn_gp.VariationalELBO", counting)
    model = GNNGPClassifier(**SMALL).fit(data.smiles[:30], np.arange(30) % 2)
    assert np.array_equal(used[0], model.held_[0])
    assert counted == [30 - len(used[0])]  # the bound weighs the prior against the rows that it sees


# --- protocol ---
@parametrize_with_checks([kind(**SMALL) for kind in ALL], expected_failed_checks=lambda estimator: EXPECTED_FAILURES)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


@pytest.mark.parametrize("kind", ALL)
def test_parameters_clone_and_pickle(kind, fitted, data):
    model = fitted[kind]
    assert (SMALL | {"n_members": 2}).items() <= model.get_params().items()
    twin = clone(model)
    assert twin.get_params() == model.get_params()
    assert not hasattr(twin, "members_")
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(answer(again, data.smiles), answer(model, data.smiles))
    with pytest.raises(ValueError, match="n_members must be at least 1, not 0"):
        kind(**SMALL | {"n_members": 0}).fit(data.smiles[:20], np.arange(20) % 2)


def test_array_list_series_and_column_are_the_same(fitted, data):
    model = fitted[GNNRegressor]
    expected = model.predict(data.smiles)
    for X in (data.smiles.tolist(), pd.Series(data.smiles), data.frame[["smiles"]], data.smiles[:, None]):
        assert np.array_equal(model.predict(X), expected)


def test_cross_validation_grid_search_and_tuning(data):
    X, y, groups = data.smiles, data.y, data.groups
    cv = GroupKFold(2, shuffle=True, random_state=0)
    model = GNNRegressor(**{**SMALL, "max_steps": 4})
    scores = cross_val_score(model, X, y, groups=groups, cv=cv, scoring="neg_mean_absolute_error")
    by_hand = [
        -np.mean(np.abs(y[test] - clone(model).fit(X[train], y[train]).predict(X[test])))
        for train, test in cv.split(X, y, groups)
    ]
    assert np.allclose(scores, by_hand)
    search = GridSearchCV(model, {"hidden": [8, 16]}, cv=cv, error_score="raise").fit(X, y, groups=groups)
    assert search.best_params_["hidden"] in (8, 16)
    assert search.predict(X[:3]).shape == (3,)
    result = tune(model, X, y, groups=groups, cv=cv, n_iter=2, space=GNNRegressor.TUNE_SPACE)
    assert set(result.best_params) == set(GNNRegressor.TUNE_SPACE)
    label = (y > np.median(y)).astype(int)
    p = cross_val_predict(GNNClassifier(**SMALL), X, label, groups=groups, cv=cv, method="predict_proba")
    assert p.shape == (60, 2)


def test_embedding_in_a_pipeline_learns_from_training_rows_only(data):
    X, y, groups = data.smiles, data.y, data.groups
    cv = GroupKFold(2, shuffle=True, random_state=0)
    pipeline = make_pipeline(GNNEmbedding(**SMALL), Ridge())
    found = cross_val_predict(pipeline, X, y, groups=groups, cv=cv)
    for train, test in cv.split(X, y, groups):
        embedding = GNNEmbedding(**SMALL).fit(X[train], y[train])
        ridge = Ridge().fit(embedding.transform(X[train]), y[train])
        assert np.allclose(ridge.predict(embedding.transform(X[test])), found[test])
    elsewhere = y.copy()
    elsewhere[test] += 100
    assert np.array_equal(
        pipeline.fit(X[train], elsewhere[train]).predict(X), make_pipeline(embedding, ridge).predict(X)
    )


def test_embedding_takes_its_task_from_the_target(data):
    X, label = data.smiles[:30], np.arange(30) % 2
    embedding = GNNEmbedding(**SMALL | {"n_members": 3}).fit(X, data.y[:30])
    assert embedding.transform(X).shape == (30, 3 * SMALL["dim"])
    binary, text = (GNNEmbedding(**SMALL).fit(X, y).transform(X) for y in (label, np.array(["no", "yes"])[label]))
    assert np.array_equal(binary, text)
    classifier = GNNClassifier(**SMALL).fit(X, label)
    assert np.array_equal(classifier._embeddings(graphs(X))[0], binary)
    with pytest.raises(ValueError, match="could not convert string to float"):
        GNNEmbedding(**SMALL).fit(X, np.array(["a", "b", "c"])[np.arange(30) % 3])


@pytest.mark.parametrize("kind", ALL)
def test_errors_name_row_and_remedy(kind, data):
    model, label = kind(**SMALL), [0, 1, 0]
    with pytest.raises(MoleculeError, match=r"row 1: 'C1CC' is not a molecule \(unclosed ring\)"):
        model.fit(["CCO", "C1CC", "CC"], label)
    with pytest.raises(ValueError, match=r"SMILES of shape \(n,\) or one column of them, got an array of shape"):
        model.fit(np.array([["C", "CC"]] * 3, dtype=object), label)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fit(["C", "CC"], label)
    with pytest.raises(ValueError, match="contains NaN"):
        model.fit(["C", "CC", "CCC"], [0.0, 1.0, np.nan])
    with pytest.raises(ValueError, match="at least 2 molecules"):
        model.fit(["C"], [1.0])


def test_new_molecules_are_checked_too(fitted):
    for model in fitted.values():
        with pytest.raises(MoleculeError, match="row 1: 'CXC'"):
            answer(model, ["C", "CXC"])
