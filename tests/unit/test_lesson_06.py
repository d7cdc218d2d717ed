"""The facts that lesson 06 rests on: the gate by hand, what alpha does to both losses, and the tables' overlaps."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

from course_lib.auxiliary import read_tasks, structure_similarity
from course_lib.datasets import load
from course_lib.featurize import maccs
from course_lib.molecules import identity
from course_lib.teaching.exercises.lesson_06 import (
    AUXILIARY,
    HELD_OUT,
    STAY,
    _batches,
    _by_differences,
    _lookahead,
    _may_stay,
    _meta,
)

SOURCE = Path(__file__).parents[2] / "notebooks" / "src" / "06_molgroup.py"


@pytest.fixture(scope="module")
def lesson() -> dict:
    """Functions and constants of the notebook's source that need no data."""
    wanted = {"run_gate", "train_with", "profile", "SLOPES"}
    body = [
        node
        for node in ast.parse(SOURCE.read_text(encoding="utf-8")).body
        if getattr(node, "name", None) in wanted
        or (isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) in wanted)
    ]
    names: dict = {"np": np, "maccs": maccs}
    exec(compile(ast.Module(body, type_ignores=[]), str(SOURCE), "exec"), names)
    assert wanted <= set(names)
    return names


def _one_a_molecule(name):
    data = load(name)
    return data.subset(np.sort(np.unique(data.groups.astype(str), return_index=True)[1]))


@pytest.mark.parametrize("seed", range(5))
def test_the_meta_gradient_equals_finite_differences(seed):
    x, y, x_new, y_new = _batches()
    w_target, w_own = np.random.default_rng(seed).normal(size=2)
    point = (w_target, w_own, 0.1 + 0.2 * seed, x, y, x_new, y_new, 0.3)
    assert _meta(*point) == pytest.approx(_by_differences(*point), rel=1e-6)
    assert _meta(*point[:-1], 0.0) == 0.0  # no step, no wish


def test_without_alpha_nothing_moves_and_with_all_of_it_the_step_is_the_targets_own():
    x, y, _, _ = _batches()
    assert _lookahead(0.3, -0.8, 0.0, x, y, 0.2) == 0.3
    assert _lookahead(0.3, -0.8, 1.0, x, y, 0.2) == pytest.approx(0.3 + 0.4 * np.mean((y - 0.3 * x) * x))


def test_the_gate_on_two_lines_is_right_without_noise_and_near_chance_with_much(lesson):
    assert list(lesson["SLOPES"]) == ["copy", "negated", "shuffled"]

    def right(noise):
        end = lesson["run_gate"](noise, n_starts=300, random_state=1)[-20:].mean(axis=0)
        return np.mean(end[:, 0] > end[:, 1:].max(axis=1))

    assert right(0.1) > 0.97
    assert right(300.0) == pytest.approx(1 / 3, abs=4 * np.sqrt(2 / 9 / 300))  # three gates, any may stand highest


def test_the_first_turn_of_the_gate_follows_the_meta_gradient(lesson):
    """Without noise and with many molecules in a batch, the gate's first move has the sign that the formula gives."""
    path = lesson["run_gate"](0.0, n_starts=50, n_steps=2, size=2000)
    x = np.random.default_rng(0).normal(size=2000)
    for k, slope in enumerate(lesson["SLOPES"].values()):
        gradient = _meta(0.0, 0.0, 0.5, x, slope * x, x, x, 0.05 / 3)
        turned = path[1, :, k] - path[0, :, k]
        if slope:
            assert (np.sign(turned) == -np.sign(gradient)).all()
        else:
            assert gradient == 0
            assert np.abs(turned).max() < 1e-12


def test_alpha_changes_the_target_only_by_sharing(lesson):
    train = lesson["train_with"]
    alone = [train(0.0, slope)[:, 0] for slope in (1.0, -1.0)]
    np.testing.assert_array_equal(*alone)
    assert train(1.0, 1.0)[-1, 0] < alone[0][-1] < train(1.0, -1.0)[-1, 0]


def test_the_profile_by_hand_is_the_librarys_and_its_divergence_is_not_symmetric(lesson):
    sets = {name: _one_a_molecule(name) for name in ("octane", "cetane")}
    p, q = (lesson["profile"](data.smiles) for data in sets.values())
    table = structure_similarity(sets)
    assert -np.sum(p * np.log(p / q)) == pytest.approx(table.loc["octane", "cetane"])
    assert -np.sum(q * np.log(q / p)) == pytest.approx(table.loc["cetane", "octane"])
    assert abs(table.loc["octane", "cetane"] - table.loc["cetane", "octane"]) > 1e-3


def test_cetane_runs_against_octane_and_motor_octane_nearly_is_it():
    octane = _one_a_molecule("octane")
    known = dict(zip(octane.groups, octane.y, strict=True))
    relation = {}
    for name in ("cetane", "motor_octane"):
        data = _one_a_molecule(name)
        both = [(known[group], y) for group, y in zip(data.groups, data.y, strict=True) if group in known]
        relation[name] = (len(both) / len(octane), np.corrcoef(np.transpose(both))[0, 1])
    assert relation["cetane"][1] < -0.5
    assert relation["motor_octane"][0] > 0.9
    assert relation["motor_octane"][1] > 0.9


def test_held_out_molecules_are_found_as_the_library_finds_them():
    assert _may_stay(AUXILIARY, HELD_OUT) == STAY
    target = {"smiles": ["C" * n for n in range(1, 12)], "y": np.arange(11.0)}
    auxiliary = {"smiles": AUXILIARY + ["C" * n + "N" for n in range(1, 12)], "y": np.arange(len(AUXILIARY) + 11.0)}
    _, others = read_tasks(target, {"other": auxiliary}, HELD_OUT)
    kept = _may_stay(auxiliary["smiles"], HELD_OUT)
    assert others["other"].groups.tolist() == [identity(auxiliary["smiles"][row]) for row in kept]
    assert others["other"].n_removed == len(auxiliary["smiles"]) - len(kept)
