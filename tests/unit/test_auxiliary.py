"""Other data sets: reading, held-out molecules, both similarities, ridge transfer and principal gradients."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit, rel_entr
from torch import nn

from course_lib import auxiliary
from course_lib.auxiliary import (
    fisher_diagonal,
    principal_gradient_distance,
    read_tasks,
    ridge_transfer,
    structure_similarity,
    task_similarity,
)
from course_lib.auxiliary.similarity import kl
from course_lib.datasets import load
from course_lib.featurize import maccs, morgan
from course_lib.molecules import MoleculeError
from course_lib.splits import LeakError

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = {"hidden": 16, "n_layers": 2, "n_molecules": 40}


@pytest.fixture(scope="module")
def molecules():
    """300 SMILES in random order."""
    smiles = load("sublimation").smiles
    return smiles[np.random.default_rng(0).permutation(len(smiles))[:300]]


@pytest.fixture(scope="module")
def sets(molecules):
    """A target, a copy of its task on other molecules, the same negated, shuffled, and a binary set."""
    rng = np.random.default_rng(1)
    bits = morgan(molecules, radius=2).to_numpy(float)
    y = bits @ rng.normal(size=bits.shape[1])
    first, rest = slice(0, 100), slice(100, 300)
    return {
        "target": {"smiles": molecules[first], "y": y[first]},
        "copy": {"smiles": molecules[rest], "y": 3 * y[rest] + 7},
        "negated": {"smiles": molecules[rest], "y": -y[rest]},
        "shuffled": {"smiles": molecules[rest], "y": rng.permutation(y[rest])},
        "binary": {"smiles": molecules[rest], "y": (y[rest] > np.median(y)).astype(int)},
    }


def test_every_public_name_is_where_the_table_says():
    for name in auxiliary.__all__:
        assert getattr(getattr(auxiliary, name), "__name__", name) == name
    with pytest.raises(AttributeError, match="nothing"):
        _ = auxiliary.nothing


# --- reading ---
def test_datasets_and_mappings_are_read_alike():
    data = load("octane")
    task, others = read_tasks(
        data, {"same": {"smiles": list(data.smiles), "y": data.y.tolist()}, "f": load("flammable")}
    )
    assert np.array_equal(task.y, others["same"].y)
    assert np.array_equal(task.groups, others["same"].groups)
    assert (task.binary, others["f"].binary) == (False, True)
    assert abs(task.labels().mean()) < 1e-12
    assert task.labels().std() == pytest.approx(1)
    assert set(others["f"].labels()) == {0.0, 1.0}


def test_held_out_molecules_leave_every_auxiliary_however_they_are_written(sets, molecules):
    aux = {"smiles": ["OCC", "C[C@H](Br)CI", *molecules[100:120]], "y": np.arange(22.0)}
    target = sets["target"]
    _, others = read_tasks(target, {"a": aux, "b": sets["copy"]}, held_out=["CCO", "C[C@@H](Br)CI", molecules[105]])
    assert len(others["a"]) == 19
    assert others["a"].n_removed == 3
    assert others["b"].n_removed == 1
    assert molecules[105] not in set(others["b"].smiles)
    assert others["a"].y.tolist() == [2.0, 3, 4, 5, 6, *range(8, 22)]


def test_a_held_out_molecule_in_the_targets_training_rows_is_a_leak(sets):
    with pytest.raises(LeakError):
        read_tasks(sets["target"], {"copy": sets["copy"]}, held_out=[sets["target"]["smiles"][3]])


def test_all_that_is_left_is_too_little(sets):
    with pytest.raises(ValueError, match="'copy' has 5 rows left of 200"):
        read_tasks(sets["target"], {"copy": sets["copy"]}, held_out=sets["copy"]["smiles"][5:])
    classes = {"smiles": sets["copy"]["smiles"], "y": [1] * 3 + [0] * (len(sets["copy"]["smiles"]) - 3)}
    with pytest.raises(ValueError, match="'classes': all labels are 0 when"):
        read_tasks(sets["target"], {"classes": classes}, held_out=classes["smiles"][:3])


def test_one_string_is_no_list_of_held_out_molecules(sets):
    with pytest.raises(ValueError, match="held_out is the string 'CCO'"):
        read_tasks(sets["target"], {"copy": sets["copy"]}, held_out="CCO")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"smiles": ["C"] * 12}, "has no 'y'"),
        ({"smiles": ["C"] * 12, "y": [1.0] * 11}, "12 SMILES and labels of shape"),
        ({"smiles": ["C"] * 3, "y": [1, 2, 3]}, "has 3 rows"),
        ({"smiles": ["C"] * 12, "y": [1.0] * 11 + [np.nan]}, "row 11: the label is nan"),
        ({"smiles": ["C"] * 12, "y": ["1"] * 3 + ["high"] * 9}, r"row 3: the label is high \(9 such"),
        ({"smiles": ["C"] * 12, "y": [2.0] * 12}, "all labels are 2"),
        ({"smiles": ["C", "CC", "CCC"] * 4, "y": range(12)}, "3 molecules in 12 rows"),
    ],
)
def test_bad_sets_are_named(data, message, sets):
    with pytest.raises(ValueError, match=message):
        read_tasks(sets["target"], {"bad": data})


def test_what_is_no_molecule_and_what_is_no_mapping(sets):
    with pytest.raises(MoleculeError, match="row 11"):
        read_tasks(sets["target"], {"bad": {"smiles": ["C"] * 11 + ["C1CC"], "y": np.arange(12)}})
    with pytest.raises(ValueError, match="mapping"):
        read_tasks(sets["target"], [sets["copy"]])


# --- similarities ---
def test_kl_is_scipys_zero_for_equal_and_not_symmetric():
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(20), size=2)
    assert kl(p, p) == 0
    assert kl(p, q) == pytest.approx(rel_entr(p, q).sum())
    assert kl(p, q) > 0
    assert abs(kl(p, q) - kl(q, p)) > 1e-3


def test_structure_similarity_is_kl_of_smoothed_key_shares(sets):
    found = structure_similarity({"a": sets["target"], "b": sets["copy"], "c": sets["negated"]})
    shares = []
    for name in ("target", "copy"):
        on = maccs(sets[name]["smiles"]).to_numpy()
        frequency = (on.sum(axis=0) + 0.5) / (len(on) + 1)
        shares.append(frequency / frequency.sum())
    assert found.loc["a", "b"] == pytest.approx(-rel_entr(*shares).sum())
    assert found.loc["b", "a"] == pytest.approx(-rel_entr(*shares[::-1]).sum())
    assert found.loc["a", "b"] != found.loc["b", "a"]
    assert (np.diag(found) == 0).all()
    assert found.loc["b", "c"] == 0  # the same molecules, whatever their labels


def test_fisher_diagonal_of_logistic_regression_is_its_closed_form():
    rng = np.random.default_rng(0)
    X, w, b = rng.normal(size=(50, 4)), rng.normal(size=4), 0.3
    network = nn.Linear(4, 1).double()
    with torch.no_grad():
        network.weight[:] = torch.tensor(w)
        network.bias[:] = b
    found = fisher_diagonal(network, torch.tensor(X), lambda f: torch.sigmoid(f) * torch.sigmoid(-f))
    p = expit(X @ w + b)
    assert np.allclose(found["weight"][0], (p * (1 - p)) @ X**2 / 50, rtol=1e-12)
    assert found["bias"].item() == pytest.approx(np.mean(p * (1 - p)), rel=1e-12)
    # and the definition: the expected square of the score, over labels drawn by the model
    score = [(1 - p)[:, None] * X, (0 - p)[:, None] * X]
    assert np.allclose(
        found["weight"][0], np.mean(p[:, None] * score[0] ** 2 + (1 - p)[:, None] * score[1] ** 2, axis=0)
    )


def test_task_similarity_is_asymmetric_and_blind_to_sign_and_unit(sets):
    found = task_similarity(sets, **SMALL)
    assert (np.diag(found) == 0).all()
    assert (found.to_numpy()[~np.eye(5, dtype=bool)] <= 1e-9).all()
    assert found.loc["copy", "negated"] == pytest.approx(0, abs=1e-5)
    assert found.loc["copy", "shuffled"] < -1e-3
    assert found.loc["copy", "shuffled"] != pytest.approx(found.loc["shuffled", "copy"], rel=1e-3)
    pd.testing.assert_frame_equal(found, task_similarity(sets, **SMALL))
    assert not np.allclose(found, task_similarity(sets, **SMALL, random_state=1))


# --- estimates that need no joint training ---
def test_ridge_transfer_finds_copies_of_a_linear_truth(sets):
    others = {name: data for name, data in sets.items() if name != "target"}
    found = ridge_transfer(sets["target"], others)
    assert found["copy"] == pytest.approx(found["negated"], abs=1e-6)
    assert found[["copy", "negated", "binary"]].min() > found["shuffled"] + 0.2
    reversed_ = ridge_transfer(sets["target"], dict(reversed(others.items())))
    pd.testing.assert_series_equal(found, reversed_[found.index])


def test_a_shared_molecule_is_predicted_by_a_model_that_has_not_seen_it(sets):
    """Random labels of the target's own molecules: memory alone would predict them."""
    rng = np.random.default_rng(5)
    target = {"smiles": sets["target"]["smiles"], "y": rng.normal(size=100)}
    assert ridge_transfer(target, {"leak": target})["leak"] < 0.3
    bits = morgan(target["smiles"], radius=2).to_numpy(float)
    memory = bits @ np.linalg.lstsq(bits, target["y"], rcond=None)[0]
    assert np.corrcoef(memory, target["y"])[0, 1] > 0.9


def test_principal_gradients_tell_the_same_direction_from_the_opposite(sets):
    options = {"hidden": 16, "n_layers": 2, "n_restarts": 4}
    same = sets["target"] | {"y": 5 * np.asarray(sets["target"]["y"]) + 1}
    opposite = sets["target"] | {"y": -np.asarray(sets["target"]["y"])}
    found = principal_gradient_distance(
        sets["target"], {"same": same, "opposite": opposite, "copy": sets["copy"]}, **options
    )
    assert found["same"] == pytest.approx(0, abs=1e-4)
    assert found["opposite"] > found["copy"] > found["same"]
    assert found.max() <= 2 + 1e-6
