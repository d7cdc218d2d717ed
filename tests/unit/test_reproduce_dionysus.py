"""The tasks of the full run of lessons 04, 05 and 08: cells, scores, splits and the log of published test parts."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import full_run
import reproduce_dionysus as dionysus
from course_lib.evaluate import crps
from course_lib.models import tune
from course_lib.splits import GroupKFold, LeakError

ENDS = ("O", "c1ccccc1", "C1CCCCC1", "c1ccncc1", "c1ccoc1", "C1CC1")  # six scaffolds
RESULTS = full_run.RESULTS
CHAINS = np.array(["C" * n + end for n in range(1, 17) for end in ENDS], dtype=object)
LENGTH = np.repeat(np.arange(1.0, 17.0), len(ENDS))
N = len(CHAINS)
QUICK = ("mean", "ridge", "group contribution")


@pytest.fixture
def made_up(tmp_path, monkeypatch):
    """96 chains; y is their length, or whether they are long; descriptors are noise and the length."""
    monkeypatch.setattr(full_run, "RESULTS", tmp_path)
    monkeypatch.delenv(full_run.COMMIT, raising=False)
    rng = np.random.default_rng(0)
    table = np.column_stack([rng.normal(size=(N, 4)), LENGTH]).astype(np.float32)
    part = np.repeat(["train", "valid", "test"], [60, 16, 20])[rng.permutation(N)]
    groups = np.arange(N)
    groups[np.flatnonzero(part == "train")[0]] = groups[np.flatnonzero(part == "test")[0]]  # the same connectivity

    def read(name):
        y = (LENGTH > 8).astype(float) if name in dionysus.BINARY else LENGTH + 0.1 * table[:, 0]
        return SimpleNamespace(y=y, groups=groups, smiles=CHAINS, frame=pd.DataFrame({"split": part}))

    monkeypatch.setattr(dionysus, "read", read)
    monkeypatch.setattr(dionysus, "features", lambda name, kind: CHAINS if kind == "graph" else table)
    return part


@pytest.mark.parametrize("binary", [False, True])
def test_every_cell_has_a_model_that_gives_what_is_scored(binary):
    wanted = (dionysus.CELLS, dionysus.GROWN, dionysus.SHIFTED, dionysus.NETWORKS, dionysus.TUNED)
    for kind, names in {(kind, names) for cells in wanted for kind, names in cells.items()}:
        for name in names:
            model = dionysus.build(name, kind, binary, seed=0)
            assert hasattr(model, "predict_proba" if binary else "predict"), (kind, name)


def test_the_kernel_goes_with_the_feature():
    assert dionysus.build("GP", "morgan", False, 0).kernel == "tanimoto"
    assert {dionysus.build("GP", kind, True, 0).kernel for kind in ("mordred", "embedding")} == {"matern"}


@pytest.mark.parametrize(("name", "measure"), [("sublimation", "r2"), ("flammable", "auroc")])
def test_baselines_learn_what_can_be_learned_but_the_mean(made_up, name, measure):
    order = np.random.default_rng(1).permutation(N)
    order = order[~np.isin(order, np.flatnonzero(dionysus.read(name).groups != np.arange(N)))]
    found = {
        row["model"]: row
        for kind, names in {"graph": QUICK, "mordred": ("MLP", "random forest")}.items()
        for row in dionysus.rows(name, kind, order[:50], order[50:], 0, {kind: names}, n=50)
    }
    assert list(found) == [*QUICK, "MLP", "random forest"]
    assert found["mean"][measure] <= 0.5
    assert all(found[model][measure] > 0.6 for model in found if model != "mean")
    assert {(row["n"], row["n_train"], row["n_test"]) for row in found.values()} == {(50, 50, len(order) - 50)}


def test_rows_refuse_a_group_on_both_sides(made_up):
    groups = dionysus.read("sublimation").groups
    first, second = np.flatnonzero(groups == pd.Series(groups).mode()[0])
    with pytest.raises(LeakError):
        next(dionysus.rows("sublimation", "graph", np.array([first]), np.array([second]), 0))


def test_scores_of_a_distribution_and_of_a_mean_alone():
    rng = np.random.default_rng(0)
    mean = rng.normal(size=4000)
    y = mean + rng.normal(scale=0.5, size=4000)
    whole = dionysus.scores(y, mean, np.full(4000, 0.5), binary=False)
    assert whole["coverage95"] == pytest.approx(0.95, abs=0.015)
    assert whole["mean_z2"] == pytest.approx(1, abs=0.08)
    assert whole["ama"] < 0.02
    assert whole["r2"] == pytest.approx(0.8, abs=0.03)
    assert set(dionysus.scores(y, mean, None, binary=False)) == {"r2", "rmse", "mae"}


def test_scores_of_classes_and_of_a_cluster_of_one_class():
    rng = np.random.default_rng(0)
    p = rng.uniform(size=2000)
    found = dionysus.scores((rng.random(2000) < p).astype(float), p, None, binary=True)
    assert found["auroc"] == pytest.approx(5 / 6, abs=0.03)  # of a uniform probability that is true
    assert found["ece"] < 2 * found["ece_perfect"]
    assert set(dionysus.scores(np.ones(9), np.full(9, 0.7), None, binary=True)) == {"log_loss", "brier"}


def test_published_split_drops_twins_and_logs_before_it_predicts(made_up, tmp_path, monkeypatch):
    monkeypatch.setattr(dionysus, "CELLS", {"graph": QUICK})
    log = tmp_path / "dionysus_test_log.csv"

    def watched(*arguments):
        assert log.exists()
        return original(*arguments)

    original = dionysus.predictions
    monkeypatch.setattr(dionysus, "predictions", watched)
    monkeypatch.setenv(full_run.COMMIT, "abc1234")
    for name in ("delaney", "bace"):
        for row in dionysus.published(name, 0, "graph"):
            assert (row["n_train"], row["n_test"], row["n_removed"]) == (75, 20, 1)
            skill = "auroc" if name == "bace" else "r2"
            assert row[f"{skill}_low"] <= row[skill] <= row[f"{skill}_high"]
    table = pd.read_csv(log, dtype=str)
    assert table["set"].tolist() == ["delaney", "bace"]
    assert set(table["commit"]) == {"abc1234"}  # of the run's beginning


def test_training_sizes_are_nested_and_end_with_all(made_up, monkeypatch):
    monkeypatch.setattr(dionysus, "SIZES", (10, 20, 500))
    monkeypatch.setattr(dionysus, "GROWN", {"graph": ("mean",)})
    seen = []

    def rows(name, kind, train, test, number, wanted, n):
        seen.append((train, test, n))
        return iter(())

    monkeypatch.setattr(dionysus, "rows", rows)
    assert list(dionysus.sizes("sublimation", 3, "graph")) == []
    (few, test, n), (more, same, _), (everything, _, last) = seen
    assert (n, last) == (10, len(everything))
    assert np.array_equal(few, more[:10])
    assert np.array_equal(more, everything[:20])
    assert np.array_equal(test, same)
    assert sorted([*everything, *test]) == list(range(N))


def test_every_kind_of_shift_has_its_folds(made_up):
    found = dionysus.shift_splits("sublimation")
    assert {kind: len(folds) for kind, folds in found.items()} == {
        "random": 5, "scaffold": 5, "cluster": 5, "cluster with target": 5, "leave one cluster out": 10,
    }  # fmt: skip
    groups = dionysus.read("sublimation").groups
    for folds in found.values():
        assert sorted(np.concatenate([test for _, test in folds])) == list(range(N))
        assert not any(set(groups[train]) & set(groups[test]) for train, test in folds)


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize(("kind", "model"), [(k, m) for k, names in dionysus.TUNED.items() for m in names])
def test_every_model_can_be_tuned_by_its_own_space(kind, model, binary):
    plain = dionysus.build(model, kind, binary, seed=0)
    short = {"max_epochs": 3, "n_steps": 3, "max_steps": 3, "n_estimators": 5, "n_members": 1, "n_folds": 0}
    plain.set_params(**{name: value for name, value in short.items() if name in plain.get_params()})
    X = CHAINS[:40] if kind == "graph" else np.column_stack([LENGTH[:40], np.arange(40) % 3])
    y = (LENGTH[:40] > 3).astype(float) if binary else LENGTH[:40]
    found = tune(
        plain, X, y, groups=np.arange(40), cv=GroupKFold(2), n_iter=2, space=type(plain).TUNE_SPACE,
        **({} if binary else {"loss": crps, "return_std": True}),
    )  # fmt: skip
    assert set(found.best_params) == set(type(plain).TUNE_SPACE)
    assert np.isfinite(found.history["score"]).all()


# --- what the run has shown ---
def test_every_network_learns_from_120_molecules():
    """Half a batch of the published study, whose networks took no step there."""
    table = pd.read_csv(RESULTS / "dionysus_few.csv")
    table = table[~table["model"].isin(["GP", "NGBoost", "ridge"])]  # they stand beside the networks
    means = table.groupby(["model", "on"])["r2"].agg(["mean", "size"])
    assert set(means.index) == {(name, on) for on, names in dionysus.NETWORKS.items() for name in names}
    assert (table["n_train"] == dionysus.N_FEW).all()
    assert (means["size"] == dionysus.DRAWS).all()
    assert (means["mean"] >= 0.5).all()


def test_every_published_cell_is_reached_and_a_cell_that_is_not_calibrated_says_why():
    table = pd.read_csv(RESULTS / "dionysus_compared.csv")
    assert len(table) == 39
    assert table["reaches"].all()
    missed = table[~table["calibrated"]]
    assert (missed["mean_z2"].notna() | missed["log_loss"].notna()).all()
