"""The full run behind B1 to B5: its splits and tasks, and each endpoint on planted tables that come out both ways."""

import numpy as np
import pandas as pd
import pytest

import full_run
import reproduce_molgroup as run
from course_lib.molecules import identity
from course_lib.teaching import load_claims

pytestmark = pytest.mark.usefixtures("one_thread")

MARGIN = {name: load_claims()[name].margin for name in run.CLAIMS}


# --- what is run ---
def test_the_targets_are_those_of_the_claims_and_no_target_helps_itself():
    claims = load_claims()
    assert all(tuple(claims[name].sets) == run.TARGETS for name in run.CLAIMS)
    for name in run.TARGETS:
        others = run.auxiliaries(name)
        assert name not in others
        assert "motor_octane" not in others
        assert len(set(others)) == len(others)
    tasks = run.RUN.stages["pairs"].tasks
    assert len(tasks) == len(set(tasks)) == run.SEEDS * sum(1 + len(run.auxiliaries(name)) for name in run.TARGETS)
    assert run.SEEDS >= 5


@pytest.mark.parametrize("name", ["octane", "flammable"])
def test_a_split_has_no_molecule_twice_and_few_to_train_on(name):
    for seed in range(2):
        parts = run.divide(name, seed)
        groups = [set(run.read(name).groups[rows]) for rows in parts]
        assert sum(map(len, groups)) == len(set.union(*groups)) == sum(map(len, parts))
        assert len(parts[0]) <= run.MAX_TRAIN
    assert not np.array_equal(run.divide(name, 0)[2], run.divide(name, 1)[2])


@pytest.fixture
def small(monkeypatch):
    """Tiny networks, two auxiliaries, results in memory only."""
    monkeypatch.setattr(run, "NETWORK", {"n_steps": 2, "hidden": 8, "n_layers": 1})
    monkeypatch.setattr(run, "GATE", {"n_steps": 2, "hidden": 8, "n_layers": 1, "rounds": 1, "n_seeds": 1})
    monkeypatch.setattr(run, "FORWARD", {"n_steps": 1, "hidden": 8, "n_layers": 1})
    monkeypatch.setattr(run, "MAX_AUXILIARY", 60)
    monkeypatch.setattr(run, "auxiliaries", lambda name: ("cetane", "dipole"))
    run.auxiliary.cache_clear()
    yield
    run.auxiliary.cache_clear()


def test_tasks_run_and_read_only_what_they_may(small, monkeypatch):
    seen, held, fit, train = [], [], run.JointNetwork.fit, run.JointNetwork._train

    def watched_fit(self, target, auxiliaries, *, validation, held_out):
        held.append({identity(text) for text in held_out})
        return fit(self, target, auxiliaries, validation=validation, held_out=held_out)

    def watched_train(self, tasks, watched):
        groups = set().union(*(task.groups for task in tasks))  # of the target and of every auxiliary
        seen.append((groups, set(watched.groups), held[-1]))
        return train(self, tasks, watched)

    monkeypatch.setattr(run.JointNetwork, "fit", watched_fit)
    monkeypatch.setattr(run.JointNetwork, "_train", watched_train)
    pair = list(run.one_pair("octane", "cetane", 0))
    assert [set(row) for row in pair] == [{"error", "step", "n_train", "n_test"}]
    lines = pd.DataFrame(run.one_selection("octane", "chosen", 0))
    methods = {"molgroup", "none", "all", "random", "structure", "task", run.NEAREST, "ridge transfer", "recommended"}
    assert methods <= set(lines["method"])
    assert not lines["method"].duplicated().any()
    taken = lines.set_index("method")["k"]
    assert taken[["random", "structure", run.NEAREST]].tolist() == [taken["molgroup"]] * 3
    assert taken["none"] == 0
    assert taken["all"] == 2
    for train, validation, test in seen:
        assert not train & validation
        assert not (train | validation) & test
    assert len(seen) == 1 + lines["group"].map(lambda group: frozenset(group.split())).nunique()


def test_similarities_and_search_run(small):
    near = pd.DataFrame(run.one_similarity("octane", "each", 0))
    assert near["other"].tolist() == ["cetane", "dipole"]
    assert (near[["structure", "task", "structure_reversed", "task_reversed"]] < 0).all(axis=None)
    (row,) = run.one_search("octane", "chosen", 0)
    assert row["k"] == len(row["group"].split()) <= 2


# --- endpoints on planted tables ---
def pairs(effects: dict[str, float], noise: float = 0.002) -> pd.DataFrame:
    """Errors of all targets, alone 1 and with an auxiliary lower by its effect."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {"set": name, "auxiliary": other, "seed": seed, "error": (1 - effect) * 2 + rng.normal(scale=noise),
         "n_train": 300, "n_test": 100}
        for name in run.TARGETS for seed in range(5) for other, effect in {"none": 0.0, **effects}.items()
    )  # fmt: skip


def decided(table: pd.DataFrame, claim: str) -> bool:
    """Return whether all units lie on one side of the margin, and on which."""
    above = table["estimate"] > MARGIN[claim]
    assert above.nunique() == 1
    return bool(above.iloc[0])


def test_improvements_are_shares_of_the_error_alone():
    found = run.improvements(pairs({"a": 0.3, "b": -0.1}, noise=0.0)).set_index(["set", "auxiliary"])["improvement"]
    assert found["octane"].to_dict() == pytest.approx({"a": 0.3, "b": -0.1})


@pytest.mark.parametrize(
    ("effects", "noise", "holds"),
    [
        ({"a": 0.2, "b": -0.2, "c": 0.0}, 0.002, True),
        ({"a": 0.2, "b": 0.2, "c": 0.0}, 0.002, False),  # none hurts
        ({"a": -0.2, "b": -0.2, "c": 0.0}, 0.002, False),
        ({"a": 0.015, "b": -0.015, "c": 0.0}, 0.002, False),  # below the margin
        ({"a": 0.2, "b": -0.2, "c": 0.0}, 0.9, False),  # not clear
    ],
)
def test_b1_needs_pairs_that_help_and_pairs_that_hurt(effects, noise, holds):
    assert decided(run.b1(run.improvements(pairs(effects, noise))), "B1") == holds


def test_asymmetry_is_between_the_two_directions():
    table = pd.DataFrame(
        [("x", "y", 0.3), ("y", "x", 0.1), ("x", "z", 0.0), ("y", "z", 0.5)],
        columns=["set", "auxiliary", "improvement"],
    )
    assert run.asymmetry(table) == pytest.approx(0.2)


def similar(weights: tuple[float, float]) -> pd.DataFrame:
    """Improvement as a weighted sum of two unrelated similarities, for each target its own auxiliaries."""
    rng = np.random.default_rng(1)
    rows = []
    for name in run.TARGETS:
        structure, task = -rng.exponential(size=(2, 12))
        improvement = weights[0] * structure + weights[1] * task + 0.02 * rng.normal(size=12)
        rows.append(pd.DataFrame({"set": name, "structure": structure, "task": task, "improvement": improvement}))
    return pd.concat(rows, ignore_index=True)


@pytest.mark.parametrize(("weights", "holds"), [((1.0, 1.0), True), ((0.0, 1.0), False), ((1.0, 0.0), False)])
def test_b2_needs_both_similarities(weights, holds):
    found = run.b2(similar(weights))
    assert (found["estimate"].mean() > MARGIN["B2"]) == holds
    if not holds:
        assert set(found["better"]) == {"task" if weights[1] else "structure"}
        assert found["estimate"].max() < MARGIN["B2"]


def test_b2_fits_the_combination_on_the_other_targets():
    """A target whose own labels say the opposite does not get a combination of its own."""
    table = similar((1.0, 1.0))
    odd = table["set"] == "octane"
    table.loc[odd, "improvement"] *= -1
    found = run.b2(table).set_index("set")["combined"]
    assert found["octane"] < -0.9
    assert found["lipo"] > 0.9


@pytest.mark.parametrize(("helping", "holds"), [(("far",), True), (("near",), False)])
def test_b3_looks_at_the_less_similar_half(helping, holds):
    names = ["near a", "near b", "far a", "far b"]
    effects = {name: 0.2 if name.split()[0] in helping else 0.0 for name in names}
    near = {"near a": -0.1, "near b": -0.2, "far a": -1.0, "far b": -2.0}
    table = run.improvements(pairs(effects))
    assert decided(run.b3(table.assign(structure=table["auxiliary"].map(near))), "B3") == holds


def groups(errors: dict[str, float]) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    return pd.DataFrame(
        {"set": name, "seed": seed, "method": method, "k": 2, "seconds": 1.0, "error": error + rng.normal(scale=1e-3),
         "n_train": 300, "n_test": 100}
        for name in run.TARGETS for seed in range(5) for method, error in errors.items()
    )  # fmt: skip


SIZES = {f"gate's best {size}": 1.0 for size in run.SIZES}


@pytest.mark.parametrize(
    ("gate", "alone", "nearest", "holds"),
    [(0.8, 1.0, 0.9, True), (0.8, 1.0, 0.8, False), (0.8, 0.8, 0.9, False), (0.8, 0.7, 0.6, False)],
)
def test_b4_needs_the_gate_ahead_of_both(gate, alone, nearest, holds):
    table = groups({"molgroup": gate, "none": alone, run.NEAREST: nearest})
    assert decided(run.b4(table), "B4") == holds


@pytest.mark.parametrize(("one", "five", "holds"), [(1.0, 0.8, True), (0.8, 0.8, False), (0.8, 1.0, False)])
def test_b5_compares_five_with_one(one, five, holds):
    table = groups({"none": 1.2, "all": 1.0, **SIZES, "gate's best 1": one, "gate's best 5": five})
    assert decided(run.b5(table), "B5") == holds


def test_whether_auxiliaries_differ_is_asked_within_a_seed():
    rng = np.random.default_rng(0)
    hard = 10 * rng.random(5)  # what all auxiliaries of a seed have in common does not count
    for spread, differ in ((0.0, False), (1.0, True)):
        table = pd.DataFrame(
            {"set": "octane", "auxiliary": str(k), "seed": seed, "error": hard[seed] + spread * k + 0.1 * rng.random()}
            for seed in range(5) for k in range(8)
        )  # fmt: skip
        none = table[table["auxiliary"] == "0"].assign(auxiliary="none", error=100.0)
        found = run.differences(pd.concat([none, table])).iloc[0]
        assert found["n_auxiliaries"] == 8
        assert (found["p"] < 0.01) == differ


def test_the_summary_has_a_gain_for_every_method():
    found = run.summary(groups({"none": 1.0, "molgroup": 0.8})).set_index(["set", "method"])
    assert found.loc[("octane", "molgroup"), "gain"] == pytest.approx(0.2, abs=0.01)
    assert (found["low"] <= found["gain"]).all()
    assert found.loc[("octane", "none"), "gain"] == 0


def test_claims_are_decided_when_all_their_tasks_are_done(tmp_path, monkeypatch):
    monkeypatch.setattr(full_run, "RESULTS", tmp_path)
    table = pairs({"a": 0.2, "b": -0.2, "c": 0.0})
    assert run.primaries() == {}
    monkeypatch.setattr(full_run.FullRun, "complete", lambda self, stage: stage == "pairs")
    run.RUN.write("pairs", table)
    run.RUN.decide(run.primaries(), run.CLAIMS, run.PACKAGES)
    verdicts = pd.read_csv(tmp_path / "molgroup_claims.csv").set_index("claim")["verdict"]
    assert verdicts.to_dict() == {"B1": "holds"}
    assert (tmp_path / "molgroup_improvements.csv").exists()


def test_an_unfinished_search_does_not_hold_up_the_verdicts(tmp_path, monkeypatch):
    monkeypatch.setattr(full_run, "RESULTS", tmp_path)
    table = groups({"none": 1.0, "molgroup": 0.8, run.NEAREST: 0.9, "all": 1.0, **SIZES})
    run.RUN.write("groups", table)
    run.RUN.write("forward", table[table["seed"] == 0].assign(method="forward search").iloc[:1])
    monkeypatch.setattr(full_run.FullRun, "complete", lambda self, stage: stage == "groups")
    assert set(run.primaries()) == {"B4", "B5"}
    assert "forward search" not in set(pd.read_csv(tmp_path / "molgroup_summary.csv")["method"])
