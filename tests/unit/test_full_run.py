"""The machinery of the full runs: tasks resume, tables are whole, and each rule's endpoint can come out both ways."""

from __future__ import annotations

import importlib
import os

import numpy as np
import pandas as pd
import pytest

import full_run
import reproduce_dionysus as dionysus
from course_lib.results import with_skill
from course_lib.teaching.claims import load_claims
from environment import one_code_path
from full_run import FullRun, Stage


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(full_run, "RESULTS", tmp_path)
    return tmp_path


CALLS = []


def work(name: str, number: int):
    CALLS.append((name, number))
    if (name, number) == ("b", 1) and len(CALLS) == 4:
        raise RuntimeError("interrupted")
    for arm in ("one", "two"):
        yield {"arm": arm, "value": number}


def test_an_interrupted_run_goes_on_where_it_stopped(results):
    CALLS.clear()
    tasks = tuple((name, number) for name in "ab" for number in range(2))
    run = FullRun("trial", ("set", "split"), {"stage": Stage(work, tasks)})
    with pytest.raises(RuntimeError, match="interrupted"):
        run.run(["stage"], jobs=1)
    assert not run.complete("stage")
    assert run.done("stage") == {("a", 0), ("a", 1), ("b", 0)}
    run.run(["stage"], jobs=1)
    assert run.complete("stage")
    assert CALLS.count(("a", 0)) == 1
    table = pd.read_csv(results / "trial_stage.csv")
    assert list(table.columns) == ["set", "split", "arm", "value"]
    assert len(table) == 8
    assert not list(results.glob("*.part"))


@pytest.mark.parametrize("tool", ["bo", "dionysus", "molgroup", "panel", "tg"])
def test_a_stage_knows_its_tasks_again(results, tool):
    """A key "0.0" that comes back as a number would be run anew by each run, and its rows stand twice."""
    run = importlib.import_module(f"reproduce_{tool}").RUN
    for name, stage in run.stages.items():
        run.write(name, pd.DataFrame(stage.tasks, columns=list(run.keys)))
        assert run.done(name) == set(stage.tasks)
        assert run.complete(name)


def test_only_wanted_tasks_run(results):
    CALLS.clear()
    run = FullRun("trial", ("set", "split"), {"stage": Stage(work, (("a", 0), ("c", 0)))})
    run.run(["stage"], jobs=1, wanted=lambda task: task[0] == "c")
    assert run.done("stage") == {("c", 0)}


@pytest.mark.parametrize("commit", ["2092827", "12e4567", "b736165+"])  # read as numbers, the first two would not match
def test_uses_of_published_test_parts_are_logged_once_a_commit(results, monkeypatch, commit):
    monkeypatch.delenv(full_run.COMMIT, raising=False)
    run = FullRun("trial", ("set",), {})
    monkeypatch.setattr(full_run, "commit", lambda: "0000000")
    run.log_test_use(set="delaney", stage="random")
    monkeypatch.setattr(full_run, "commit", lambda: commit)
    for _ in range(2):
        run.log_test_use(set="delaney", stage="random")
    log = pd.read_csv(results / "trial_test_log.csv", dtype=str)
    assert list(log) == ["date", "commit", "set", "stage"]
    assert log["commit"].tolist() == ["0000000", commit]
    assert log["set"].tolist() == ["delaney", "delaney"]


def instructions(name: str, number: int):
    yield {variable: os.environ.get(variable) for variable in one_code_path()}


def test_tasks_calculate_with_the_instructions_of_the_lessons(results, monkeypatch):
    for variable in one_code_path():
        monkeypatch.delenv(variable, raising=False)
    run = FullRun("trial", ("set", "split"), {"stage": Stage(instructions, (("a", 0),))})
    run.run(["stage"], jobs=1)
    assert run.complete("stage")
    assert run.read("stage").iloc[0].drop(["set", "split"]).fillna("").to_dict() == one_code_path()


# --- endpoints of C1 to C5 and C8 on planted tables: (changes to a table that holds, verdict of the endpoint) ---
SETS = ("delaney", "bace", "sublimation", "permittivity")


def cells(rows: dict[tuple[str, str], float], **columns) -> pd.DataFrame:
    """A table with one row a set, split and cell; the skill of a binary set stands in auroc."""
    rng = np.random.default_rng(0)
    lines = []
    for name in SETS:
        for split in range(5):
            for (model, on), value in rows.items():
                measure = "auroc" if name in dionysus.BINARY else "r2"
                score = value + rng.normal(scale=0.001)
                lines.append({"set": name, "split": split, "model": model, "on": on, measure: score, **columns})
    return pd.DataFrame(lines)


GOOD = {
    ("GP", "mordred"): 0.90,
    ("NGBoost", "mordred"): 0.85,
    ("BNN", "mordred"): 0.87,
    ("SNGP", "mordred"): 0.84,
    ("GP", "morgan"): 0.75,
    ("NGBoost", "morgan"): 0.55,
    ("BNN", "morgan"): 0.65,
    ("SNGP", "morgan"): 0.66,
    ("GP", "embedding"): 0.88,
    ("NGBoost", "embedding"): 0.80,
    ("BNN", "embedding"): 0.80,
    ("SNGP", "embedding"): 0.80,
    ("GNN-GP", "graph"): 0.87,
}
PLANTS = {
    "C2": (
        {("SNGP", "mordred"): 0.91},
        {("GP", "morgan"): 0.99, ("NGBoost", "morgan"): 0.99, ("SNGP", "morgan"): 0.99},
    ),
    "C3": ({("SNGP", "morgan"): 0.80}, {("BNN", "morgan"): 0.76}),
    "C4": ({("GNN-GP", "graph"): 0.70}, {("BNN", "mordred"): 0.50}),
    "C5": ({("GP", "embedding"): 0.70}, {("GP", "mordred"): 0.99}),
}


def endpoint(claim: str, rows: dict) -> float:
    """The mean of the endpoint over the sets."""
    table = with_skill(cells(rows, n_train=600, n=100))
    return dionysus.units(table, getattr(dionysus, claim.lower()))["estimate"].mean()


@pytest.mark.parametrize(
    ("claim", "change"), [(claim, change) for claim, plants in PLANTS.items() for change in plants]
)
def test_endpoints_come_out_both_ways(claim, change):
    rule = load_claims()[claim]
    side = 1 if rule.direction == "above" else -1
    assert side * (endpoint(claim, GOOD) - rule.margin) > 0
    assert side * (endpoint(claim, GOOD | change) - rule.margin) < 0


def test_c4_counts_only_sets_with_500_training_molecules():
    assert dionysus.c4(with_skill(cells(GOOD, n_train=499))) is None


def growing(ngboost_lead: float, deep_gap_small: float, deep_gap_large: float) -> pd.DataFrame:
    parts = []
    for n in (25, 50, 100, 200, 500, 700):
        shallow = 0.6 + (ngboost_lead if n <= 100 else 0)
        deep = (0.6 - deep_gap_small) if n < 300 else (0.6 - deep_gap_large)
        rows = {("NGBoost", "mordred"): shallow, ("GP", "mordred"): 0.6, ("BNN", "mordred"): deep}
        rows |= dict.fromkeys(((name, "mordred") for name in ("SNGP", "deep ensemble", "MLP")), deep - 0.1)
        parts.append(cells(rows | {("GNN-GP", "graph"): deep - 0.1}, n=n))
    return with_skill(pd.concat(parts))


@pytest.mark.parametrize(
    ("arguments", "holds"),
    [((0.05, 0.2, 0.0), True), ((-0.05, 0.2, 0.0), False), ((0.05, 0.05, 0.0), False), ((0.05, 0.2, 0.1), False)],
)
def test_c8_needs_all_three_parts(arguments, holds):
    estimate = dionysus.units(growing(*arguments), dionysus.c8)["estimate"]
    assert len(estimate) == len(SETS)
    assert (estimate > 0).all() == holds
    assert (estimate < 0).all() != holds


def parts_table(fall: float, distance: float, change: float, epistemic: float = 1.0) -> pd.DataFrame:
    lines = [
        {
            "model": "GP",
            "n": n,
            "epistemic_variance": epistemic * (1 if n == 50 else 1 - fall),
            "aleatoric_variance": 0.1 if n == 50 else 0.1 * (1 + change),
            "rank_correlation_with_distance": distance,
        }
        for n in (50, 200)
        for _ in range(20)
    ]
    return pd.DataFrame(lines)


@pytest.mark.parametrize(
    ("arguments", "holds"),
    [((0.5, 0.6, 0.1), True), ((0.1, 0.6, 0.1), False), ((0.5, 0.1, 0.1), False), ((0.5, 0.6, -0.4), False)],
)
def test_c1_needs_all_three_parts(arguments, holds):
    estimate = dionysus.c1(parts_table(*arguments))["estimate"].item()
    assert (estimate > 0) == holds


def test_c1_leaves_out_a_model_without_an_epistemic_part():
    assert dionysus.c1(parts_table(0.5, 0.6, 0.1, epistemic=np.nan)).empty


def test_published_cells_stand_beside_ours_both_ways():
    cell = {"set": "delaney", "model": "GP", "on": "mordred", "r2": 0.9, "r2_low": 0.85, "r2_high": 0.95,
            "ama": 0.03, "ama_dionysus": 0.2, "ama_perfect_high": 0.05,
            "kendall": 0.2, "kendall_low": 0.1, "kendall_high": 0.3, "n_train": 9, "n_removed": 1,
            "mean_z2": 0.6, "coverage95": 0.98}  # fmt: skip
    classes = {"set": "bace", "model": "NGBoost", "on": "morgan", "auroc": 0.7, "auroc_low": 0.6, "auroc_high": 0.8,
               "ece": 0.2, "ece_dionysus": 0.05, "ece_perfect_high": 0.1,
               "log_loss": 0.5, "log_loss_low": 0.4, "log_loss_high": 0.6,
               "log_loss_perfect_low": 0.45, "log_loss_perfect_high": 0.55}  # fmt: skip
    more = {"set": "delaney", "model": "random forest", "on": "mordred"}  # not published
    found = dionysus.compared(
        pd.DataFrame([cell, {**cell, "r2_high": 0.91, "ama": 0.06}, classes, {**classes, "ece_dionysus": 0.3}, more])
    )
    assert found["published"].round(3).tolist() == [0.934, 0.934, 0.894, 0.894]
    assert found["measure"].tolist() == ["r2", "r2", "auroc", "auroc"]
    assert found["reaches"].tolist() == [True, False, False, False]
    assert found["rank"].notna().tolist() == [True, True, False, False]
    assert found["log_loss"].notna().tolist() == [False, False, True, True]
    assert found["calibrated"].tolist() == [True, False, True, False]  # perfect, neither, not above theirs, neither


def test_every_task_of_the_run_names_a_set_and_a_feature_that_exist():
    known = {*dionysus.SETS, "simulated"}
    for stage in dionysus.RUN.stages.values():
        assert len(set(stage.tasks)) == len(stage.tasks)
        assert {name for name, _, _ in stage.tasks} <= known
        assert {kind for _, _, kind in stage.tasks} <= {*dionysus.FEATURES, "inputs"}
