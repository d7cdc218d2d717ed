"""Lesson 08: what its own cells define, and the facts that its text and exercises rest on."""

from __future__ import annotations

import ast
import sys
import types
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from rdkit.DataStructs import BulkTanimotoSimilarity

import reproduce_dionysus as dionysus
from course_lib import evaluate, plots_uncertainty
from course_lib.datasets import load
from course_lib.featurize import morgan
from course_lib.models import DeepEnsembleRegressor
from course_lib.results import full_run, with_skill
from course_lib.splits import ClusterKFold, LeakError, ScaffoldKFold, assert_no_leak, scaffold

SOURCE = Path(__file__).parents[2] / "notebooks" / "src" / "08_generalisation.py"


def from_lesson(*names: str, **needed: object) -> list:
    """Return functions and constants as the lesson's cells define them, given what they need from other cells."""
    space = {"np": np, "pd": pd, **needed}
    for node in ast.parse(SOURCE.read_text(encoding="utf-8")).body:
        defined = [node.name] if isinstance(node, ast.FunctionDef) else []
        if isinstance(node, ast.Assign):
            defined = [target.id for target in node.targets if isinstance(target, ast.Name)]
        if set(defined) & set(names):
            exec(compile(ast.Module([node], []), str(SOURCE), "exec"), space)
    return [space[name] for name in names]


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


# ------------------------------------------------------------------------------------------------ sections 1 to 3
SMILES = ["CCO", "CCCO", "c1ccccc1O", "CC(=O)Oc1ccccc1", "CCCCCC"]


def test_tanimoto_is_that_of_rdkit():
    from rdkit import Chem
    from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

    (tanimoto,) = from_lesson("tanimoto")
    bits = morgan(SMILES).to_numpy(dtype=float)
    generator = GetMorganGenerator(radius=3, fpSize=bits.shape[1])
    prints = [generator.GetFingerprint(Chem.MolFromSmiles(text)) for text in SMILES]
    expected = [BulkTanimotoSimilarity(one, prints) for one in prints[:2]]
    np.testing.assert_allclose(tanimoto(bits[:2], bits), expected)


@pytest.mark.parametrize("name", ["octane", "permittivity"])
def test_scaffolds_cannot_split_chains_and_clusters_of_fingerprints_are_more_even(name):
    data = load(name)
    data = data.subset(np.sort(np.unique(data.groups, return_index=True)[1]))
    assert np.mean([scaffold(text) == "" for text in data.smiles]) > 0.5

    def largest(splitter):
        folds = list(splitter.split(data.smiles, groups=data.groups))
        return max(len(test) for _, test in folds) / len(data)

    with pytest.warns(UserWarning, match="have no ring"):
        by_scaffold = largest(ScaffoldKFold(data.smiles, 5))
    assert by_scaffold > 0.6
    assert largest(ClusterKFold(morgan(data.smiles), n_splits=5)) < 0.8 * by_scaffold


def test_skill_against_the_training_mean_is_never_below_r2():
    """The test values spread about their own mean least, so the two differ by the shift of the mean alone."""
    (skill,) = from_lesson("skill_solution")
    rng = np.random.default_rng(0)
    y, known = rng.normal(5.0, 1.0, 40), rng.normal(2.0, 3.0, 60)
    predicted = y + rng.normal(size=40)
    ratio = y.var() / (y.var() + (y.mean() - known.mean()) ** 2)
    assert skill(y, predicted, known) == pytest.approx(1 - (1 - evaluate.r2(y, predicted)) * ratio)
    assert skill(y, predicted, y) == pytest.approx(evaluate.r2(y, predicted))


# ------------------------------------------------------------------------------------------------- section 4: slider
@pytest.mark.parametrize(("n_train", "split"), [("all", "cluster"), (25, "random")])
def test_the_slider_draws_what_was_computed(n_train, split, capsys):
    rng = np.random.default_rng(0)
    y, std = rng.normal(100, 20, 60), np.full(60, 10.0)
    mean = y + rng.normal(0, 10, 60)
    grown = {("cluster", "all"): (mean, std), ("random", 25): (mean + 50, std)}
    needed = {"plt": plt, "evaluate": evaluate, "plots_uncertainty": plots_uncertainty, "grown": grown, "y": y}
    (shift_at,) = from_lesson("shift_at", few=slice(0, 60), data=load("octane"), **needed)
    shift_at(n_train, split)
    said = capsys.readouterr().out
    assert f"R2 {evaluate.r2(y, grown[split, n_train][0]):.2f}" in said
    assert f"coverage {evaluate.coverage(y, *grown[split, n_train]):.2f}" in said
    figure = plt.gcf()
    assert figure.get_suptitle() == f"{split} split, {n_train} training molecules"
    assert len(figure.axes) == 2


def test_the_slider_starts_at_an_option():
    (shift_at,) = from_lesson("shift_at")
    (options,) = [
        {keyword.arg: keyword.value for keyword in node.value.keywords}
        for node in ast.parse(SOURCE.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Expr) and getattr(getattr(node.value, "func", None), "id", "") == "interactive"
    ]
    assert ast.literal_eval(options["n_train"])[-1] == shift_at.__defaults__[0] == "all"


# ------------------------------------------------------------------------------------------ sections 5 to 7: claim C8
def planted(best="NGBoost", deep_at_500=0.85):
    """Make a table of the full run's shape: skill rises with n, the best cell leads, networks are poor when small."""
    rows = []
    for n in (25, 50, 100, 200, 300, 500, 800):
        skills = {"GP": 0.60, "NGBoost": 0.60, "random forest": 0.50, "BNN": 0.30, "SNGP": 0.20}
        skills = {model: value + n / 4000 for model, value in skills.items()} | {
            "deep ensemble": 0.30,
            "MLP": 0.28,
            "GNN-GP": 0.25,
        }
        skills[best] += 0.05
        if n >= 500:
            skills["GNN-GP"] = deep_at_500
        for model, value in skills.items():
            on = "graph" if model == "GNN-GP" else "mordred"
            rows += [{"set": "delaney", "split": s, "n": n, "model": model, "on": on, "r2": value} for s in (0, 1)]
    return pd.DataFrame(rows).assign(n_train=lambda t: t["n"], n_test=100, ama=0.05)


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_RESULTS", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(("best", "deep"), [("NGBoost", 0.85), ("GP", 0.85), ("NGBoost", 0.4)])
def test_the_three_parts_are_those_of_the_rule(results, best, deep):
    table = planted(best, deep)
    table.to_csv(results / "dionysus_sizes.csv", index=False)
    full, three_parts = from_lesson("SHORT", "full", "three_parts", full_run=full_run, with_skill=with_skill)[1:]
    parts = three_parts(full("dionysus_sizes"), ["BNN", "SNGP", "ensemble", "MLP", "GNN-GP"])
    expected = dionysus.c8(with_skill(table))
    del expected["estimate"]
    assert list(parts.values()) == pytest.approx(list(expected.values()))
    assert (parts["NGBoost best"] > 0) == (best == "NGBoost")
    assert (parts["deep good from 500"] > 0) == (deep > 0.8)


def test_a_table_that_is_not_there_is_said_and_a_table_of_classes_has_auroc(results, capsys):
    full = from_lesson("SHORT", "full", full_run=full_run, with_skill=with_skill)[1]
    assert full("dionysus_sizes") is None
    assert capsys.readouterr().out == "(full run: dionysus_sizes is not there yet)\n"
    table = pd.DataFrame([{"set": "bace", "model": "deep ensemble", "on": "morgan", "auroc": 0.8}])
    table.to_csv(results / "dionysus_random.csv", index=False)
    (row,) = full("dionysus_random").to_dict("records")
    assert (row["skill"], row["cell"]) == (0.8, "ensemble morgan")


def test_tabpfn_learns_from_the_draws_and_is_asked_of_their_test_molecules(monkeypatch):
    """With a stand-in of the same calls: the weights cannot be had everywhere."""
    asked = []

    class TabPFNRegressor:
        def __init__(self, *, model_path, device, random_state, ignore_pretraining_limits):
            asked.append((model_path, device, random_state))

        def fit(self, X, y):
            self.slope = y[0] / X[0, 0]
            asked.append(len(y))
            return self

        def predict(self, X):
            return self.slope * X[:, 0]

    monkeypatch.setitem(sys.modules, "tabpfn", types.SimpleNamespace(TabPFNRegressor=TabPFNRegressor))
    X = np.arange(1.0, 21.0)[:, None]
    splits = {draw: (np.arange(15), np.arange(15, 20)) for draw in (0, 1)}
    data = types.SimpleNamespace(groups=np.arange(20))
    (tabpfn_r2,) = from_lesson(
        "tabpfn_r2", splits=splits, data=data, X=X, y=3 * X[:, 0], evaluate=evaluate, assert_no_leak=assert_no_leak
    )
    assert tabpfn_r2("w.ckpt", 10) == [1.0, 1.0]
    assert asked == [("w.ckpt", "cpu", 0), 10, ("w.ckpt", "cpu", 1), 10]


def test_the_guide_names_all_cells_that_are_level_with_the_best():
    (level_with_best,) = from_lesson("level_with_best")
    rows = [("a", "GP", 0.90, 0.05), ("a", "BNN", 0.80, 0.07), ("a", "forest", 0.89, np.nan)]
    rows += [("b", "GP", 0.70, 0.07), ("b", "BNN", 0.60, 0.07), ("b", "forest", 0.69, np.nan)]
    rows += [("b", "only here", 0.99, 0.1)]
    table = pd.DataFrame(rows, columns=["set", "cell", "skill", "ama"])
    assert level_with_best(table) == "GP (0.000; AMA 0.06), forest (0.010)"
    assert "BNN (0.100; AMA 0.07)" in level_with_best(table, within=0.15)
    apart = table[(table["set"] == "a") == (table["cell"] == "BNN")]
    assert level_with_best(apart) == "no cell has run on all sets yet"


# ---------------------------------------------------------------------------------------- section 6: the untrained net
def test_a_network_without_a_step_predicts_about_the_mean_and_looks_calibrated():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 20))
    y = 100 + 20 * X[:, 0] + rng.normal(0, 5, 400)
    fitted = {n: DeepEnsembleRegressor(1, max_epochs=n).fit(X[:200], y[:200]) for n in (0, 300)}
    r2, area = {}, {}
    for n, network in fitted.items():
        mean, std = network.predict(X[200:], return_std=True)
        r2[n], area[n] = evaluate.r2(y[200:], mean), evaluate.miscalibration_area(y[200:], mean, std)
    assert abs(r2[0]) < 0.15
    assert r2[300] > 0.7
    assert area[0] < 0.1
    assert fitted[0].histories_[0].empty


# ------------------------------------------------------------------------------------------------------- the leak lab
def test_places_in_the_pool_used_as_rows_hold_the_share_of_the_pool_in_test_molecules():
    shares = []
    for seed in range(50):
        rng = np.random.default_rng(seed)
        rows = rng.permutation(650)
        pool, test = np.sort(rows[:520]), rows[520:]
        order = rng.permutation(520)
        shares.append(np.isin(test, order).mean())
        with pytest.raises(LeakError):
            assert_no_leak(order[:100], test)
        assert_no_leak(pool[order], test)
    assert np.mean(shares) == pytest.approx(520 / 650, abs=4 * np.std(shares) / np.sqrt(50))
