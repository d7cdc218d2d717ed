"""Joint training: the trunks, the heads, equal steps, held-out molecules, and relative improvement."""

from itertools import islice

import numpy as np
import pandas as pd
import pytest
import torch

from course_lib.auxiliary import JointNetwork, Task, relative_improvement, target_errors
from course_lib.auxiliary.improvement import grouped_split
from course_lib.auxiliary.joint import GAT, TRUNKS, deal
from course_lib.auxiliary.tasks import read_task
from course_lib.datasets import load
from course_lib.evaluate import nadeau_bengio
from course_lib.featurize import graphs
from course_lib.models.gnn import batch
from course_lib.models.network import seeded
from course_lib.molecules import identity
from course_lib.splits import LeakError

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = {"hidden": 16, "n_layers": 2, "n_steps": 30, "batch_size": 16, "dropout": 0.0}


@pytest.fixture(scope="module")
def sets():
    """A target of 60 molecules and three auxiliaries: number of oxygens, enthalpies, and two classes."""
    whole = load("sublimation")
    smiles = whole.smiles[np.random.default_rng(0).permutation(len(whole))[:240]]
    oxygens = np.array([text.upper().count("O") for text in smiles], dtype=float)
    rings = np.array(["1" in text for text in smiles], dtype=int)
    return {
        "target": {"smiles": smiles[:60], "y": oxygens[:60]},
        "more": {"smiles": smiles[60:], "y": -oxygens[60:]},
        "rings": {"smiles": smiles[60:], "y": rings[60:]},
    }


# --- trunks ---
def test_attention_adds_up_to_one_and_single_atoms_have_none():
    molecules = batch(graphs(["CCO", "C", "c1ccccc1C(=O)[O-]", "[Na+].[Cl-]"]))
    with seeded(0):
        trunk = GAT(hidden=8, n_layers=2).eval()
    with torch.no_grad():
        weight = trunk.weights(0, trunk.encoder(molecules.atoms), molecules)
    total = torch.zeros(len(molecules.atoms)).index_add(0, molecules.target, weight)
    degree = torch.bincount(molecules.target, minlength=len(total))
    assert torch.allclose(total, (degree > 0).float())
    assert weight.min() > 0
    assert not torch.allclose(weight, 1 / degree[molecules.target])  # not the plain mean


def test_attention_is_pytorch_geometrics_gatv2_softmax():
    from torch_geometric.utils import softmax

    molecules = batch(graphs(["CC(C)(C)O", "c1ccncc1"]))
    with seeded(1):
        trunk = GAT(hidden=8, n_layers=1).eval()
    with torch.no_grad():
        h = trunk.encoder(molecules.atoms)
        sent, got = trunk.senders[0](h)[molecules.source], trunk.receivers[0](h)[molecules.target]
        hidden = torch.nn.functional.leaky_relu(sent + got + trunk.bonds[0](molecules.bonds), 0.2)
        expected = softmax(trunk.scores[0](hidden)[:, 0], molecules.target, num_nodes=len(h))
        assert torch.allclose(trunk.weights(0, h, molecules), expected, atol=1e-7)


@pytest.mark.parametrize("kind", list(TRUNKS))
def test_a_molecule_is_the_same_alone_and_in_company(kind):
    molecules = graphs(["CCO", "C", "c1ccccc1", "*CC(*)C"])
    with seeded(1):
        trunk = TRUNKS[kind](hidden=8).eval()
    with torch.no_grad():
        alone = torch.cat([trunk(batch([molecule])) for molecule in molecules])
        assert torch.allclose(trunk(batch(molecules)), alone, atol=1e-6)


# --- sampling ---
@pytest.mark.parametrize(("n", "size"), [(10, 4), (7, 7), (5, 8), (9, 3)])
def test_every_row_comes_once_before_any_comes_again(n, size):
    batches = list(islice(deal(n, size, 0), 30))
    assert {len(rows) for rows in batches} == {min(n, size)}
    assert all(len(set(rows.tolist())) == len(rows) for rows in batches)
    drawn = np.concatenate(batches)
    for start in range(0, len(drawn) - n + 1, n):
        counts = np.bincount(drawn[: start + n], minlength=n)
        assert np.ptp(counts) <= 1


# --- training ---
@pytest.mark.parametrize("kind", list(TRUNKS))
def test_numbers_and_classes_are_learned_together(kind, sets):
    others = {name: sets[name] for name in ("more", "rings")}
    model = JointNetwork(kind, **SMALL | {"n_steps": 150, "learning_rate": 5e-3}).fit(sets["target"], others)
    y = sets["target"]["y"]
    assert model.error(sets["target"]["smiles"], y) < 0.6 * y.std()
    assert model.history_["training"].iloc[-1] < 0.5 * model.history_["training"].iloc[0]


def test_a_binary_target_is_predicted_by_its_probability(sets):
    model = JointNetwork(**SMALL | {"n_steps": 100}).fit(sets["rings"], {"more": sets["target"]})
    p = model.predict(sets["rings"]["smiles"])
    assert ((p > 0) & (p < 1)).all()
    t = np.asarray(sets["rings"]["y"])
    assert model.error(sets["rings"]["smiles"], t) == pytest.approx(
        -np.mean(np.log(np.where(t == 1, p, 1 - p))), rel=1e-6
    )
    assert p[t == 1].mean() > p[t == 0].mean() + 0.1


def test_units_order_and_seed(sets):
    others = {name: sets[name] for name in ("more", "rings")}
    X = sets["target"]["smiles"]
    found = JointNetwork(**SMALL).fit(sets["target"], others).predict(X)
    again = JointNetwork(**SMALL).fit(sets["target"], dict(reversed(others.items()))).predict(X)
    assert np.array_equal(found, again)
    scaled = {"more": {"smiles": sets["more"]["smiles"], "y": 1e4 * sets["more"]["y"] + 3}, "rings": sets["rings"]}
    kelvin = {"smiles": X, "y": 100 * sets["target"]["y"] + 273}
    assert np.allclose(JointNetwork(**SMALL).fit(kelvin, scaled).predict(X), 100 * found + 273, rtol=1e-3, atol=0.1)
    assert not np.allclose(JointNetwork(**SMALL, random_state=1).fit(sets["target"], others).predict(X), found)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    JointNetwork(**SMALL | {"n_steps": 2, "dropout": 0.3}).fit(sets["target"], others)
    assert torch.rand(1) == expected


def test_the_target_alone_takes_as_many_steps_on_the_same_batches(sets, monkeypatch):
    seen = []

    def watched(n_rows, size, random_state):
        for rows in deal(n_rows, size, random_state):
            seen.append((n_rows, rows.tolist()))
            yield rows

    monkeypatch.setattr("course_lib.auxiliary.joint.deal", watched)
    JointNetwork(**SMALL).fit(sets["target"])
    alone, _ = seen.copy(), seen.clear()
    JointNetwork(**SMALL).fit(sets["target"], {"more": sets["more"], "rings": sets["rings"]})
    assert len(alone) == SMALL["n_steps"]
    assert [entry for entry in seen if entry[0] == 60] == alone
    assert len(seen) == 3 * SMALL["n_steps"]


def test_the_kept_step_is_the_best_on_the_validation_molecules(sets):
    smiles, y = sets["target"]["smiles"], sets["target"]["y"]
    train, validation = ({"smiles": smiles[part], "y": y[part]} for part in (slice(0, 40), slice(40, 60)))
    options = SMALL | {"n_steps": 150, "learning_rate": 2e-2}
    model = JointNetwork(**options).fit(train, {"more": sets["more"]}, validation=validation)
    best = model.history_.loc[model.history_["validation"].idxmin()]
    assert model.best_step_ == best["step"]
    assert model.error(validation["smiles"], validation["y"]) == pytest.approx(best["validation"], rel=1e-5)


def test_validation_and_test_molecules_leave_every_auxiliary(sets):
    target = read_task("target", sets["target"])
    train, validation, test = grouped_split(target, 3)
    everything = {"smiles": [*sets["target"]["smiles"], *sets["more"]["smiles"]], "y": np.arange(240.0)}
    model = JointNetwork(**SMALL | {"n_steps": 1}).fit(
        target.subset(train),
        {"leak": everything},
        validation=target.subset(validation),
        held_out=target.smiles[test],
    )
    held = {identity(text) for text in target.smiles[np.concatenate([validation, test])]}
    assert model.removed_ == {"leak": sum(identity(text) in held for text in everything["smiles"])}
    assert model.removed_["leak"] >= len(validation) + len(test)
    with pytest.raises(LeakError):
        JointNetwork(**SMALL).fit(target, validation=target.subset(validation))


# --- relative improvement ---
def test_every_training_gets_only_what_it_may_see(sets, monkeypatch):
    held, trained, fit, train = [], [], JointNetwork.fit, JointNetwork._train

    def spy_fit(self, target, auxiliaries, *, validation, held_out):
        held.append({identity(text) for text in held_out})
        return fit(self, target, auxiliaries, validation=validation, held_out=held_out)

    def spy_train(self, tasks, watched):
        trained.append(([set(task.groups) for task in tasks], set(watched.groups)))
        return train(self, tasks, watched)

    monkeypatch.setattr(JointNetwork, "fit", spy_fit)
    monkeypatch.setattr(JointNetwork, "_train", spy_train)
    target_errors(sets["target"], {"same": sets["target"]}, [4], **SMALL | {"n_steps": 1})
    ((target, same), validation), test = trained[0], held[0]
    assert test
    assert same == target  # what is left of the set's own copy
    parts = [target, validation, test]
    assert sum(map(len, parts)) == len(set.union(*parts)) == len({identity(s) for s in sets["target"]["smiles"]})


def test_relative_improvement_is_the_share_of_the_error_with_a_corrected_interval(sets):
    options = SMALL | {"n_steps": 60}
    alone = target_errors(sets["target"], {}, 3, **options)
    joint = target_errors(sets["target"], {"auxiliary": sets["more"]}, 3, **options)
    found = relative_improvement(sets["target"], sets["more"], 3, **options)
    expected = 1 - joint["error"] / alone["error"]
    assert np.allclose(found.table["improvement"], expected)
    interval = nadeau_bengio(expected, alone["n_train"].mean(), alone["n_test"].mean())
    assert (found.interval.low, found.interval.high) == pytest.approx((interval.low, interval.high))
    again = relative_improvement(sets["target"], {"auxiliary": sets["more"]}, 3, alone=alone, **options)
    pd.testing.assert_frame_equal(again.table, found.table)
    with pytest.raises(ValueError, match=r"alone has the seeds \[0, 1, 2\]"):
        relative_improvement(sets["target"], sets["more"], [1, 2, 3], alone=alone, **options)
    with pytest.raises(ValueError, match="alone was trained with the options"):
        relative_improvement(sets["target"], sets["more"], 3, alone=alone, **options | {"n_steps": 61})


def test_three_times_the_data_of_the_same_task_helps(sets):
    """Known truth: the auxiliary is the target's own task, negated, on 180 other molecules."""
    found = relative_improvement(sets["target"], sets["more"], 3, **SMALL | {"n_steps": 200, "learning_rate": 5e-3})
    assert found.interval.estimate > 0.1


def test_a_split_of_a_task_is_whole():
    task = read_task("octane", load("octane"))
    parts = grouped_split(task, 0)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(task)))
    assert isinstance(task, Task)
