"""The panel study's full run: the grid, each rule on planted tables, verdicts by region, published tables."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

import full_run
import reproduce_panel as run
from course_lib.teaching.claims import load_claims

UNITS = [(region, number) for region in run.REGIONS for number in range(run.STUDIED)]
ALL = [(region, number) for region in run.REGIONS for number in range(run.PANELS)]


def test_the_grid_crosses_three_knobs_and_balances_the_fourth():
    grid = pd.DataFrame(run.REGIONS.values())
    assert len(grid) == len(grid[["signal", "flip_rate", "shared"]].drop_duplicates()) == 8
    for one, other in itertools.combinations(grid, 2):
        assert set(grid.groupby([one, other]).size()) == {2}
    assert len({tuple(run.draw(region, 0)[0].X[0]) for region in run.REGIONS}) == 8


def test_tasks_are_complete_and_different():
    for stage in run.RUN.stages.values():
        assert len(set(stage.tasks)) == len(stage.tasks)
    per_region = {(region, number) for region, number, _ in run.RUN.stages["burn"].tasks}
    assert per_region | set(UNITS) == set(ALL)
    assert run.PANELS == 10


# --- endpoints on planted tables ---
def rows(arm: str, value: float, column: str = "correlation", units=UNITS, seeds=2, **columns) -> pd.DataFrame:
    rng = np.random.default_rng(len(arm))
    lines = [
        {"region": r, "panel": n, "arm": arm, "seed": seed, column: value + 1e-5 * rng.normal(), **columns}
        for r, n in units
        for seed in range(seeds)
    ]
    return pd.DataFrame(lines)


def study(seed_sd: float = 0.0, baseline: float = 0.015, uniform: float = 0.02) -> pd.DataFrame:
    scores = {"baseline": baseline, "BNN uniform": uniform, "BNN normal": 0.017, "BNN laplace": 0.018, "starter": 0.016}
    table = pd.concat([rows(arm, value, n_samples=run.SAMPLES, sharpe=0.5) for arm, value in scores.items()])
    is_baseline = table["arm"] == "baseline"
    table.loc[is_baseline, "correlation"] += np.where(table.loc[is_baseline, "seed"] == 0, 1, -1) * seed_sd
    return table.reset_index(drop=True)


def holds(claim: str, values: pd.Series) -> bool:
    rule = load_claims()[claim]
    sides = (values > rule.margin) == (rule.direction == "above")
    assert sides.nunique() == 1, "the planted effect is not clear"
    return bool(sides.iloc[0])


@pytest.mark.parametrize(("seed_sd", "expected"), [(0.01, True), (0.0001, False)])
def test_d1(seed_sd, expected):
    assert holds("D1", run.d1(study(seed_sd))) == expected


@pytest.mark.parametrize(("single", "expected"), [(0.010, True), (0.0168, False)])
def test_d2(single, expected):
    table = study().assign(samples_correlation=single)
    assert holds("D2", run.d2(table)) == expected
    assert run.d2(table.assign(n_samples=100)).empty


@pytest.mark.parametrize(("uniform", "expected"), [(0.02, True), (0.0155, False)])
def test_d3(uniform, expected):
    assert holds("D3", run.d3(study(uniform=uniform))) == expected


@pytest.mark.parametrize(("area", "expected"), [(0.8, True), (0.52, False)])
def test_d4_takes_the_best_prior_and_drops_undefined_panels(area, expected):
    further = [unit for unit in ALL if unit not in UNITS]
    priors = {"BNN uniform": 0.45, "BNN normal": area, "BNN laplace": 0.5}
    first = pd.concat([rows(arm, value, "auc", seeds=1) for arm, value in priors.items()])
    more = pd.concat([rows(arm, value, "auc", units=further, seeds=1) for arm, value in priors.items()])
    other_seeds = rows("BNN uniform", 0.99, "auc").assign(seed=3)
    found = run.d4(pd.concat([first, other_seeds]), more)
    assert len(found) == len(ALL)
    assert holds("D4", found) == expected
    assert set(found.groupby("region").size()) == {10}
    more.loc[(more["panel"] == 5) & (more["region"] == UNITS[0][0]), "auc"] = np.nan
    assert len(run.d4(first, more)) == len(ALL) - 1


def test_d4_on_molecules_counts_sets():
    table = pd.DataFrame(
        [
            {"model": name, "panel": n, "arm": f"BNN {prior}", "auc": area}
            for name in ("a", "b")
            for n in range(3)
            for prior, area in (("uniform", 0.5), ("laplace", 0.7 + 0.1 * n))
        ]
    )
    assert run.d4_molecules(table).tolist() == pytest.approx([0.3, 0.3])


@pytest.mark.parametrize(
    ("joint", "sharpe_with_60", "expected"), [(0.018, 0.7, True), (0.025, 0.7, False), (0.018, 0.5, False)]
)
def test_d5_needs_both_parts(joint, sharpe_with_60, expected):
    several = pd.concat(
        [
            rows("uniform", joint, seeds=1, model=model, sharpe=sharpe_with_60 if model in run.WITH_60 else 2.0)
            for model in run.TARGETS
        ]
    )
    assert holds("D5", run.d5(study(), several)) == expected


@pytest.mark.parametrize(("largest", "expected"), [(1e-5, True), (0.01, False)])
def test_d6_counts_the_worst_prior(largest, expected):
    sizes = {"uniform": 1e-7, "normal": 1e-6, "laplace": largest}
    table = pd.concat([rows(p, 0, seeds=1, relative_difference=size) for p, size in sizes.items()])
    assert holds("D6", run.d6(table)) == expected


@pytest.mark.parametrize(("shallow", "expected"), [(0.0155, True), (0.010, False)])
def test_d7_compares_with_the_best_shallower_depth(shallow, expected):
    depths = pd.concat(
        [rows("baseline", s, model=f"baseline depth {n}") for n, s in enumerate((0.005, shallow, 0.009))]
    )
    assert holds("D7", run.d7(study(), depths)) == expected


def test_verdicts_are_corrected_over_all_tests_run_or_not():
    rng = np.random.default_rng(0)
    values = pd.Series(0.0016 + 0.001 * rng.normal(size=16))
    alone = run.verdicts([("D2", "", values)])
    assert alone["p_holm"].item() == pytest.approx(
        min(1, (len(run.CLAIMS) - 1 + len(run.REGIONS) + 1) * alone["p"].item())
    )
    regions = [("D4", region, pd.Series(0.3 + 0.01 * rng.normal(size=10))) for region in run.REGIONS]
    nothing = ("D4", "molecules", pd.Series(0.01 * rng.normal(size=8)))
    table = run.verdicts([*regions, nothing])
    assert table["verdict"].tolist() == ["holds"] * 8 + ["does not hold"]
    assert table["region"].tolist()[-1] == "molecules"


# --- one small task of each stage, and the tables beside the published figures ---
@pytest.fixture
def small(monkeypatch, tmp_path):
    monkeypatch.setattr(full_run, "RESULTS", tmp_path)
    for name, value in {
        "N_TRAIN": 4, "N_VALID": 6, "N_ROWS": 30, "SEEDS": 2, "SAMPLES": 20, "HIDDEN": (6, 4, 4),
        "BAYES": {"n_steps": 5, "batch_size": 60, "learning_rate": 1e-2},
    }.items():  # fmt: skip
        monkeypatch.setattr(run, name, value)
    run.draw.cache_clear()
    yield
    run.draw.cache_clear()


def test_every_stage_gives_the_rows_that_the_tables_and_verdicts_need(small):
    tables = {}
    for stage in ("study", "burn", "depth", "targets"):
        work = run.RUN.stages[stage].work
        some = [task for task in run.RUN.stages[stage].tasks if task[0] == next(iter(run.REGIONS))]
        lines = [
            {"region": task[0], "panel": task[1], "model": task[2], **row}
            for task in (some if stage == "burn" else [task for task in some if task[1] < run.STUDIED])
            if task[1] < 4
            for row in work(*task)
        ]
        tables[stage] = pd.DataFrame(lines)
        assert not tables[stage].duplicated(["region", "panel", "model", "arm", "seed"]).any()
    for values in (
        run.d1(tables["study"]),
        run.d2(tables["study"]),
        run.d3(tables["study"]),
        run.d5(tables["study"], tables["targets"]),
        run.d7(tables["study"], tables["depth"]),
    ):
        assert len(values) == run.STUDIED
        assert np.isfinite(values).all()
    assert set(tables["study"]["arm"]) >= {"MC dropout", "baseline, best epoch", "deep ensemble of baseline"}
    named = {tuple(names) for *names, _ in run.ours(tables)}
    published = run.panel.published()[["table", "model", "prior", "measure"]].itertuples(index=False, name=None)
    assert set(published) <= named


def test_priors_are_penalties_on_the_first_regression():
    for prior in run.PRIORS:
        row = next(run.priors("regressions", 0, prior))
        assert row["relative_difference"] < 1e-3
