"""MolGroup: the mixture, the gate, the lookahead and its gradient, the selection loop."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch.func import functional_call, grad

from course_lib.auxiliary import MolGroup, molgroup
from course_lib.auxiliary.gate import (
    Drawn,
    Gate,
    Network,
    Set2Set,
    auxiliary_losses,
    lookahead,
    meta_gradient,
    mixed,
)
from course_lib.auxiliary.joint import task_loss
from course_lib.auxiliary.molgroup import CONTROL
from course_lib.datasets import load
from course_lib.featurize import graphs, maccs
from course_lib.models.gnn import batch
from course_lib.models.network import seeded
from course_lib.molecules import identity

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = {"hidden": 8, "n_layers": 2, "n_steps": 10, "batch_size": 8, "n_seeds": 1, "rounds": 1, "learning_rate": 1e-2}


@pytest.fixture(scope="module")
def smiles():
    whole = load("sublimation").smiles
    return whole[np.random.default_rng(0).permutation(len(whole))[:150]]


@pytest.fixture(scope="module")
def sets(smiles):
    oxygens = np.array([text.upper().count("O") for text in smiles], dtype=float)
    rng = np.random.default_rng(1)
    return {
        "target": {"smiles": smiles[:50], "y": oxygens[:50]},
        "a": {"smiles": smiles[50:], "y": oxygens[50:]},
        "b": {"smiles": smiles[50:], "y": rng.permutation(oxygens[50:])},
        "c": {"smiles": smiles[60:130], "y": rng.integers(2, size=70)},
    }


def double(molecules):
    return molecules._replace(atoms=molecules.atoms.double(), bonds=molecules.bonds.double())


def drawn(smiles, seed, binary=False):
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=len(smiles)) if binary else rng.normal(size=len(smiles))
    keys = torch.from_numpy(maccs(smiles).to_numpy(float))
    return Drawn(double(batch(graphs(smiles))), torch.as_tensor(y, dtype=torch.float64), keys, binary)


@pytest.fixture
def parts(smiles):
    """Target network, two auxiliaries' networks, a gate, and a batch of each; float64, no dropout."""
    with seeded(0):
        target, *owners = (Network(6, 2, 0.0).double() for _ in range(3))
        gate = Gate(2, a=0.3, tau=0.5).double()
        with torch.no_grad():
            gate.tasks += torch.randn_like(gate.tasks)
    batches = [drawn(smiles[:7], 1), drawn(smiles[7:12], 2, binary=True)]
    return target, owners, gate, batches, drawn(smiles[12:18], 3)


# --- mixture ---
def test_alpha_1_is_the_targets_path_and_alpha_0_the_auxiliarys(parts, smiles):
    target, (owner, _), *_ = parts
    molecules = double(batch(graphs([*smiles[:20], "C", "[Na+].[Cl-]"])))
    with torch.no_grad():
        assert torch.equal(mixed(target.gin, owner.gin, 1.0, molecules), target.gin(molecules))
        assert torch.equal(mixed(target.gin, owner.gin, 0.0, molecules), owner.gin(molecules))
        half = mixed(target.gin, owner.gin, 0.5, molecules)
        assert torch.allclose(half, mixed(owner.gin, target.gin, 0.5, molecules))
        assert not torch.allclose(half, (target.gin(molecules) + owner.gin(molecules)) / 2)  # layer by layer
        assert torch.allclose(mixed(target.gin, target.gin, 0.3, molecules), target.gin(molecules))


# --- gate ---
def test_set2set_takes_a_set_as_pytorch_geometric_does():
    from torch_geometric.nn import Set2Set as Theirs

    rows = torch.randn(9, 5, generator=torch.Generator().manual_seed(0))
    with seeded(0):
        ours, theirs = Set2Set(5), Theirs(5, processing_steps=3)
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    with torch.no_grad():
        for name in names:
            getattr(theirs.lstm, f"{name}_l0").copy_(getattr(ours.lstm, name))
        assert torch.allclose(ours(rows), theirs(rows, torch.zeros(9, dtype=torch.long))[0], atol=1e-6)
        assert torch.allclose(ours(rows), ours(rows.flip(0)), atol=1e-6)


def test_the_gate_is_the_published_formula_and_starts_at_a_half(parts):
    _, _, gate, batches, own = parts
    keys = [one.keys for one in batches]
    with torch.no_grad():
        found = gate(own.keys, keys)
        cosine = torch.nn.functional.cosine_similarity
        for number in range(2):
            task = cosine(gate.target, gate.tasks[number], dim=0)
            structure = cosine(gate.read(gate.project(own.keys)), gate.read(gate.project(keys[number])), dim=0)
            assert found[number].item() == pytest.approx(torch.sigmoid((0.7 * task + 0.3 * structure) / 0.5).item())
        assert not torch.allclose(found, torch.full_like(found, 0.5), atol=0.02)
        gate.start_at_half(own.keys, keys)
        assert torch.equal(gate(own.keys, keys), torch.full((2,), 0.5, dtype=torch.float64))
        gate.tasks[0] += gate.target  # nearer to the target: more sharing
        assert gate(own.keys, keys)[0] > 0.5


# --- the step ---
def test_the_lookahead_is_a_gradient_step_by_torch_func(parts):
    target, owners, gate, batches, own = parts
    alpha = gate(own.keys, [one.keys for one in batches]).detach()
    loss = torch.stack(auxiliary_losses(target.gin, owners, alpha, batches)).mean()
    moved = lookahead(target.gin, loss, 0.1)

    class Mean(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.shared = target.gin

        def forward(self):
            return torch.stack(auxiliary_losses(self.shared, owners, alpha, batches)).mean()

    start = {f"shared.{name}": p.detach() for name, p in target.gin.named_parameters()}
    gradient = grad(lambda parameters: functional_call(Mean(), parameters, ()))(start)
    for name, value in moved.items():
        key = f"shared.{name}"
        assert torch.allclose(value, start[key] - 0.1 * gradient[key], rtol=1e-10, atol=1e-12)
    assert max(part.abs().max().item() for part in gradient.values()) > 1e-3


def meta_loss(parts, rate):
    target, owners, gate, batches, own = parts
    losses = auxiliary_losses(target.gin, owners, gate(own.keys, [one.keys for one in batches]), batches)
    moved = lookahead(target.gin, torch.stack(losses).mean(), rate)
    output = target.head(functional_call(target.gin, moved, (own.molecules,)))[:, 0]
    return task_loss(output, own.y, own.binary).item()


@pytest.mark.parametrize("rate", [0.3, 0.0])
def test_the_meta_gradient_is_the_finite_difference(parts, rate):
    """Every entry of the task vectors, and some of each other parameter of the gate."""
    target, owners, gate, batches, own = parts
    parameters = list(gate.parameters())
    losses = auxiliary_losses(target.gin, owners, gate(own.keys, [one.keys for one in batches]), batches)
    found = meta_gradient(target, losses, parameters, own, rate)
    assert [part.shape for part in found] == [p.shape for p in parameters]
    if rate == 0:
        assert all(torch.equal(part, torch.zeros_like(part)) for part in found)
        return
    rng, checked, step = np.random.default_rng(0), [], 1e-5
    for parameter, gradient in zip(parameters, found, strict=True):
        flat, n = parameter.data.view(-1), parameter.numel()
        for entry in range(n) if n <= 32 else rng.integers(n, size=3):
            before = flat[entry].item()
            values = []
            for sign in (1, -1):
                flat[entry] = before + sign * step
                values.append(meta_loss(parts, rate))
            flat[entry] = before
            checked.append(((values[0] - values[1]) / (2 * step), gradient.view(-1)[entry].item()))
    numeric, exact = np.array(checked).T
    assert np.abs(exact).max() > 1e-4
    assert np.allclose(numeric, exact, rtol=1e-4, atol=1e-9)


def test_a_move_that_helps_the_target_opens_the_gate(smiles):
    """The auxiliary is the judging batch itself, through a head that is the target's: sharing can only help."""
    with seeded(1):
        target, owner = (Network(8, 2, 0.0).double() for _ in range(2))
    owner.head.load_state_dict(target.head.state_dict())
    own = drawn(smiles[:10], 1)
    alpha = torch.full((1,), 0.9, dtype=torch.float64, requires_grad=True)
    losses = auxiliary_losses(target.gin, [owner], alpha, [own])
    (helps,) = meta_gradient(target, losses, [alpha], own, 1e-3)
    opposite = own._replace(y=2 * target.head(target.gin(own.molecules))[:, 0].detach() - own.y)
    (hurts,) = meta_gradient(target, auxiliary_losses(target.gin, [owner], alpha, [own]), [alpha], opposite, 1e-3)
    assert helps < 0 < hurts  # the gate steps against its gradient


# --- the estimator ---
def test_swapping_two_auxiliaries_permutes_the_scores(sets):
    a, b, c, longer = sets["a"], sets["b"], sets["c"], SMALL | {"n_steps": 30}
    found = MolGroup(**longer).fit(sets["target"], {"a": a, "b": b, "c": c})
    ordered = MolGroup(**longer).fit(sets["target"], {"c": c, "b": b, "a": a})
    assert ordered.scores_[["a", "b", "c"]].tolist() == found.scores_.tolist()
    swapped = MolGroup(**longer).fit(sets["target"], {"a": b, "b": a, "c": c})
    assert np.allclose(swapped.scores_[["b", "a", "c"]], found.scores_, atol=1e-5)
    assert abs(found.scores_["a"] - found.scores_["b"]) > 1e-3


def test_twins_score_alike_and_their_control_starts_where_they_do(sets):
    """Two auxiliaries with the same rows meet the same numbers throughout; the control has their structures."""
    model = MolGroup(**SMALL).fit(sets["target"], {"a": sets["a"], "twin": dict(sets["a"])})
    assert model.affinity_["a"] == pytest.approx(model.affinity_["twin"], abs=1e-5)
    alpha = model.history_
    resting = alpha[alpha["step"] <= 2]
    assert resting[CONTROL].to_numpy() == pytest.approx(resting["a"].to_numpy(), abs=1e-6)
    assert not np.allclose(alpha[CONTROL], alpha["a"], atol=1e-3)  # once the gate learns, the labels count
    still = alpha[alpha["step"] <= 2][["a", "twin"]]
    moved = alpha[alpha["step"] > 9][["a", "twin"]]
    assert (moved.mean() - still.mean()).abs().max() > 1e-4


def test_scores_are_means_over_the_last_tenth_and_over_the_seeds(sets):
    options = SMALL | {"n_seeds": 2, "rounds": 1}
    model = MolGroup(**options).fit(sets["target"], {"a": sets["a"], "b": sets["b"]})
    last = model.history_[model.history_["step"] > 9]
    assert len(last) == 2
    assert last["seed"].nunique() == 2
    assert np.allclose(model.affinity_, last[["a", "b"]].mean())
    assert np.allclose(model.scores_, last[["a", "b"]].mean() - last[CONTROL].mean())


@pytest.mark.parametrize("published", [False, True])
def test_one_seed_one_answer(sets, published):
    options = SMALL | ({"meta_batch": "same", "centred": False, "control": False} if published else {})
    aux = {"a": sets["a"], "c": sets["c"]}
    found = MolGroup(**options).fit(sets["target"], aux)
    pd.testing.assert_frame_equal(MolGroup(**options).fit(sets["target"], aux).history_, found.history_)
    other = MolGroup(**options, random_state=1).fit(sets["target"], aux)
    assert not np.allclose(other.affinity_, found.affinity_)
    assert (CONTROL in found.history_) != published
    if published:
        assert found.scores_.tolist() == found.affinity_.tolist()


def test_the_judging_batch_matters(sets):
    aux = {"a": sets["a"]}
    one, other = (MolGroup(**SMALL, meta_batch=kind).fit(sets["target"], aux) for kind in ("same", "independent"))
    assert not np.allclose(one.history_["a"], other.history_["a"])
    with pytest.raises(ValueError, match="'independent' or 'same'"):
        MolGroup(meta_batch="none")


def test_what_judges_is_never_learned_from(sets, monkeypatch):
    drawers = []

    class Watched(molgroup._Drawer):
        def __init__(self, *args):
            super().__init__(*args)
            drawers.append(self)

    monkeypatch.setattr(molgroup, "_Drawer", Watched)
    MolGroup(**SMALL | {"n_seeds": 1, "rounds": 1}).fit(sets["target"], {"a": sets["a"], "b": sets["b"]})
    *others, learning, judging = drawers
    n = len(sets["target"]["smiles"])
    assert len(others) == 4  # two and their shuffled copies
    assert not set(learning.rows) & set(judging.rows)
    assert len(learning.rows) + len(judging.rows) == n
    assert len(judging.rows) == round(n / 4)


def test_controls_are_copies_of_auxiliaries_with_the_same_labels_in_another_order(sets, monkeypatch):
    tasks = []

    class Watched(molgroup._Drawer):
        def __init__(self, task, *args):
            super().__init__(task, *args)
            tasks.append(task)

    monkeypatch.setattr(molgroup, "_Drawer", Watched)
    aux = dict.fromkeys("abcde", sets["a"])
    MolGroup(**SMALL | {"n_seeds": 1, "rounds": 1}).fit(sets["target"], aux)
    originals, copies = tasks[:5], tasks[5:-2]
    assert len(copies) == 3
    for copy in copies:
        assert copy.smiles.tolist() == originals[0].smiles.tolist()
        assert sorted(copy.y) == sorted(originals[0].y)
        assert copy.y.tolist() != originals[0].y.tolist()


@pytest.mark.parametrize("name", ["k", "rounds", "n_seeds", "n_steps"])
def test_none_of_something_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} is 0: give 1 or more"):
        MolGroup(**{name: 0})


def fixed(model, alphas):
    """Let training give these alphas, whatever the data."""

    def same(target, others, seed):
        names = sorted(others) + ([CONTROL] if model.control else [])
        index = pd.RangeIndex(1, model.n_steps + 1, name="step")
        return pd.DataFrame({name: np.full(model.n_steps, alphas[name]) for name in names}, index=index)

    model._alphas = same
    return model


ALPHAS = {"a": 0.9, "b": 0.7, "c": 0.65, "d": 0.4, CONTROL: 0.67}


@pytest.mark.parametrize(
    ("options", "selected", "rounds"),
    [
        ({"k": 5, "control": False}, ["a", "b", "c"], [3, 3, 3, 1]),  # 0.6
        ({"k": 5}, ["a", "b"], [3, 3, 1, 1]),  # the control
        ({"k": 1}, ["a"], [3, 2, 1, 1]),  # none below: the lowest goes
        ({"k": 2, "control": False, "threshold": 0.0}, ["a", "b"], [3, 3, 2, 1]),
        ({"k": 2, "threshold": 0.5}, [], [1, 1, 1, 1]),
    ],
)
def test_the_selection_loop(sets, options, selected, rounds):
    aux = {"a": sets["a"], "b": sets["b"], "c": sets["c"], "d": sets["c"]}
    model = fixed(MolGroup(**SMALL | {"rounds": 3} | options), ALPHAS).fit(sets["target"], aux)
    assert model.selected_ == selected
    assert model.rounds_.tolist() == rounds
    assert model.affinity_.tolist() == pytest.approx([0.9, 0.7, 0.65, 0.4])
    assert model.ranking_ == ["a", "b", "c", "d"]


def test_who_stayed_in_longer_ranks_above_who_scored_more_in_an_earlier_round(sets):
    model = MolGroup(**SMALL | {"rounds": 2, "n_seeds": 1})
    per_round = iter([{"a": 0.7, "b": 0.65, CONTROL: 0.66}, {"a": 0.4, CONTROL: 0.6}])

    def given(target, others, seed):
        table = {name: [alpha] * model.n_steps for name, alpha in next(per_round).items()}
        return pd.DataFrame(table, index=pd.RangeIndex(1, model.n_steps + 1, name="step"))

    model._alphas = given
    model.fit(sets["target"], {"a": sets["a"], "b": sets["c"]})
    assert model.scores_["a"] < model.scores_["b"]
    assert model.ranking_ == ["a", "b"]


def test_an_auxiliary_that_is_out_does_not_count_as_zero(sets):
    aux = {"a": sets["a"], "d": sets["c"]}
    model = fixed(MolGroup(**SMALL | {"rounds": 2, "control": False}), ALPHAS).fit(sets["target"], aux)
    assert model.history_.loc[model.history_["round"] == 2, "d"].isna().all()
    assert model.affinity_["d"] == pytest.approx(0.4)


def test_held_out_molecules_are_gone_before_anything_else(sets, smiles, monkeypatch):
    seen = []
    real = MolGroup._alphas

    def watched(self, target, others, seed):
        seen.append({group for task in (target, *others.values()) for group in task.groups})
        return real(self, target, others, seed)

    monkeypatch.setattr(MolGroup, "_alphas", watched)
    model = MolGroup(**SMALL | {"n_steps": 2}).fit(sets["target"], {"a": sets["a"]}, held_out=smiles[60:75])
    assert model.removed_["a"] >= 15
    assert not seen[0] & {identity(text) for text in smiles[60:75]}


def test_the_controls_name_is_taken(sets):
    for aux in ({CONTROL: sets["a"]}, {}):
        with pytest.raises(ValueError, match="shuffled control"):
            MolGroup().fit(sets["target"], aux)
