"""The full run of lesson 07: its protocol in small, and the rules of C6 and C7 on planted tables, both ways."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import full_run
import reproduce_bo as bo
import reproduce_dionysus as dionysus
from course_lib.acquire import ACQUISITIONS, campaign, campaigns
from course_lib.models import GPRegressor
from course_lib.teaching.claims import load_claims


# --- the protocol ---
def test_start_is_a_twentieth_or_a_tenth_within_limits():
    assert [bo.n_start("delaney", n) for n in (100, 893, 4000)] == [25, 44, 100]
    assert [bo.n_start("bace", n) for n in (100, 893, 4000)] == [25, 89, 100]


def test_the_published_bound_weighs_mean_and_deviation_over_the_pool():
    found = bo.dionysus_ucb([0.0, 5.0, 10.0], [1.0, 3.0, 2.0], best=99)
    assert found == pytest.approx([0, 0.8 * 0.5 + 0.2, 0.8 + 0.1])
    assert bo.dionysus_ucb([1.0, 1.0], [2.0, 2.0], 0).tolist() == [0, 0]


def test_a_campaign_yields_its_checkpoints():
    rows = pd.DataFrame(bo.one_campaign("permittivity", 0, "random none random"))
    assert tuple(rows["spent"]) == bo.CHECKPOINTS
    assert rows["new_hits"].iloc[0] == 0
    assert rows["new_hits"].is_monotonic_increasing
    # the hits of the start are the difference, at every checkpoint
    assert (rows["hits"] - rows["new_hits"]).to_numpy() == pytest.approx(rows["hits"].iloc[0])
    pool, test = bo.divide("permittivity")
    assert not set(pool) & set(test)
    assert rows["n_init"].iloc[0] == bo.n_start("permittivity", len(pool))
    expected = bo.BUDGET / (len(pool) - rows["n_init"].iloc[0])
    assert abs(rows["new_hits"].iloc[-1] - expected) < 0.2


@pytest.mark.parametrize(("name", "rule", "scores"), [
    ("permittivity", "ucb", ("r2", "ama")), ("bace", "greedy", ("auroc", "log_loss")),
])  # fmt: skip
def test_a_model_runs_through_a_campaign_and_is_scored_on_the_held_out(monkeypatch, name, rule, scores):
    """On made-up molecules: a start, three rounds, a Gaussian process, for numbers and for classes."""
    rng = np.random.default_rng(0)
    table = rng.normal(size=(120, 3)).astype(np.float32)
    y = (table[:, 0] > 0.8).astype(float) if name == "bace" else table[:, 0]
    part = np.repeat(["train", "valid", "test"], [70, 20, 30])
    data = SimpleNamespace(y=y, groups=np.arange(120), smiles=np.arange(120), frame=pd.DataFrame({"split": part}))
    monkeypatch.setattr(dionysus, "read", lambda name: data)
    monkeypatch.setattr(dionysus, "features", lambda name, kind: (table > 0) * 1.0 if kind == "morgan" else table)
    monkeypatch.setattr(bo, "BUDGET", 15)
    monkeypatch.setattr(bo, "CHECKPOINTS", (0, 5, 15))
    rows = pd.DataFrame(bo.one_campaign(name, 1, f"GP mordred {rule}"))
    assert rows["spent"].tolist() == [0, 5, 15]
    assert rows["new_hits"].iloc[-1] > 2 * 15 / (rows["n_pool"].iloc[0] - 25)  # more than twice what chance finds
    assert rows[list(scores)].notna().all(axis=None)
    assert rows[list({"r2", "ama", "auroc", "log_loss"} - set(scores))].isna().all(axis=None)
    skill = rows[scores[0]].iloc[-1]
    assert 0.5 < skill <= 1


def test_every_task_names_a_set_a_model_and_an_acquisition():
    for stage in (bo.RUN.stages[name] for name in bo.CAMPAIGNS):
        assert len(set(stage.tasks)) == len(stage.tasks)
        for name, start, method in stage.tasks:
            model, feature, acquisition = method.split(" ", 2)
            assert name in bo.SETS
            assert start in range(bo.STARTS)
            assert start < bo.FEW or model in ("GP", "random", "1-NN")
            assert feature in (*dionysus.FEATURES, "none")
            chosen = bo.ACQUISITIONS[acquisition]
            assert callable(chosen) or chosen in ACQUISITIONS
            assert (acquisition == "greedy") or name not in dionysus.BINARY or model in ("random", "1-NN")


# --- endpoints of C6 and C7: (changes to a table that holds) ---
def lines(rows: dict[tuple[str, str, str], float], spent: int, sets=bo.SETS, **columns) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {"set": name, "start": start, "model": model, "on": feature, "acquisition": "greedy" if name == "bace" else arm,
         "spent": spent, "new_hits": share + rng.normal(scale=0.001), "n_hits": 100, "like_start": 0.3, **columns}
        for name in sets for start in range(5) for (model, feature, arm), share in rows.items()
    )  # fmt: skip
    return table.assign(hits=table["new_hits"] + 0.05)


HITS = {
    ("GP", "mordred", "ucb"): 0.80,
    ("NGBoost", "mordred", "ucb"): 0.78,
    ("GP", "morgan", "ucb"): 0.70,
    ("BNN", "mordred", "ucb"): 0.72,
    ("random", "none", "random"): 0.20,
}


@pytest.mark.parametrize(
    ("change", "holds"),
    [
        ({}, True),
        ({("BNN", "mordred", "ucb"): 0.79}, False),
        ({("NGBoost", "mordred", "ucb"): 0.65}, False),
        ({("1-NN", "morgan", "nearest neighbour"): 0.99}, True),  # no surrogate
    ],
)
def test_c6_needs_both_ahead_of_every_other_surrogate(change, holds):
    table = pd.concat([lines(HITS | change, spent=spent) for spent in (62, 125)])
    if ("1-NN", "morgan", "nearest neighbour") in change:
        table = table[table["set"] != "bace"]
    estimate = dionysus.units(table, bo.c6)["estimate"]
    margin = load_claims()["C6"].margin
    assert (estimate > margin).all() == holds
    assert (estimate < margin).all() != holds


def test_c6_is_a_part_of_what_can_be_found():
    table = pd.concat([lines(HITS, spent=spent) for spent in (62, 125)])
    found = dionysus.units(table, bo.c6)
    few = found["estimate"]
    assert found["at_quarter"].to_numpy() == pytest.approx(few.to_numpy() / 0.62)  # the same shares, of 62 in 100 hits
    many = dionysus.units(table.assign(n_hits=500), bo.c6)["estimate"]  # 125 of 500 at most
    assert many.to_numpy() == pytest.approx(4 * few.to_numpy())


def gp_table(early: dict[str, float], r2: dict[str, float]) -> pd.DataFrame:
    quarter = lines({("GP", "mordred", arm): share for arm, share in early.items()}, 62)
    half = [lines({("GP", "mordred", arm): 0.7}, 125, r2=value) for arm, value in r2.items()]
    return pd.concat([quarter, *half])


@pytest.mark.parametrize(
    ("greedy_early", "greedy_r2", "holds"), [(0.50, 0.60, True), (0.40, 0.60, False), (0.50, 0.75, False)]
)
def test_c7_needs_hits_early_and_a_poorer_model(greedy_early, greedy_r2, holds):
    early = {"greedy": greedy_early, "ucb": 0.50, "EI": 0.45, "log-EI": 0.40}
    table = gp_table(early, {"greedy": greedy_r2, "ucb": 0.60, "EI": 0.70, "log-EI": 0.80})
    found = dionysus.units(table[table["set"] != "bace"], bo.c7)
    assert found["early_from_best"].to_numpy() == pytest.approx(greedy_early - 0.50, abs=0.01)
    assert found["poorer_from_best"].to_numpy() == pytest.approx(0.80 - greedy_r2)
    assert (found["estimate"] > 0).all() == holds
    assert (found["estimate"] < 0).all() != holds


def test_c7_is_about_numbers_only():
    table = gp_table(*(dict.fromkeys(("greedy", *bo.AWARE), value) for value in (0.5, 0.6)))
    assert set(dionysus.units(table, bo.c7)["set"]) == set(load_claims()["C7"].sets)


def test_shares_stand_beside_the_published_ones():
    table = pd.concat([lines(HITS, 250), lines({("GP", "mordred", "EI"): 0.1}, 250)])
    found = bo.compared(table).set_index(["set", "model", "feature"])
    assert len(found) == 4 * 3 + 3  # random is not greedy on bace, and permittivity was not published
    delaney = found.loc[("delaney", "GP", "mordred")]
    assert delaney["published"] == 0.9533
    assert delaney["hits"] == pytest.approx(0.8, abs=0.01)
    assert delaney["most"] == pytest.approx(0.95)  # 5 % of the hits are in the start
    assert delaney["of_most"] == pytest.approx(0.8 / 0.95, abs=0.01)
    assert not delaney["reaches"]
    assert found.loc[("delaney", "BNN", "mordred"), "reaches"]  # 0.72 against 0.42
    assert found.loc[("delaney", "BNN", "mordred"), "gain"] == pytest.approx(0.30, abs=0.01)
    half = bo.shares(lines(HITS, 125), 125)
    assert (half["low"] < half["hits"]).all()
    assert bo.shares(lines(HITS, 125), 250).empty


def test_both_claims_are_decided_in_the_family_of_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(full_run, "RESULTS", tmp_path)
    sets = load_claims()
    parts = {
        "C6": pd.DataFrame({"set": sets["C6"].sets, "estimate": [0.10, 0.11, 0.12, 0.10]}),
        "C7": pd.DataFrame({"set": sets["C7"].sets, "estimate": [-0.10, -0.11, -0.12]}),
    }
    monkeypatch.setattr(bo, "primaries", lambda: parts)
    dionysus.decide()
    verdicts = pd.read_csv(tmp_path / "dionysus_claims.csv").set_index("claim")["verdict"]
    assert verdicts.to_dict() == {"C6": "holds", "C7": "does not hold"}


def test_a_surrogate_with_shuffled_descriptors_loses_its_lead():
    (right,), (wrong,) = (list(bo.shuffled("permittivity", 0, share)) for share in ("0.0", "1.0"))
    assert (right["wrong"], wrong["wrong"]) == (0, 1)
    assert right["lead"] > 0.08 > wrong["lead"]
    for row in (right, wrong):
        assert row["lead"] == pytest.approx(row["new_hits"] - row["chance"])
    assert right["chance"] == wrong["chance"] == pytest.approx(40 / 721, abs=0.01)


def test_the_game_begins_with_the_starts_of_the_lesson():
    """The lesson plays it live from five starts, and reads the thirty of the full run beside them."""
    pool, test, X = bo.game_pool("permittivity")
    y, start = dionysus.read("permittivity").y, 1
    method = {"greedy": {**bo.GAME["greedy"], "model": GPRegressor(n_restarts=0)}}
    live = campaigns(method, y[pool], X=X[pool], **bo.SIZES, test=(X[test], y[test]), n_starts=start + 1)
    live = live[(live["start"] == start) & (live["n"] % 5 == 0) & (live["n"] > 20)]
    rows = pd.DataFrame(bo.game("permittivity", start, "greedy"))
    for column in ("n", "hit_fraction", "new_hit_fraction", "best", "r2", "ama"):
        assert rows[column].to_numpy(float) == pytest.approx(live[column].to_numpy(float)), column
    assert rows["luck"].isna().all()


def test_how_alike_a_batch_is_counts_each_pair_once(monkeypatch):
    """By hand for the first batch of the nearest neighbour, whose molecules are alike."""
    seen = {}

    def spy(*given, **options):
        seen["history"] = campaign(*given, **options).history
        return SimpleNamespace(history=seen["history"], hit_fraction=lambda **_: np.zeros(60))

    monkeypatch.setattr(bo, "campaign", spy)
    first = next(bo.game("permittivity", 0, "nearest neighbour"))
    pool = bo.divide("permittivity")[0]
    bits = dionysus.features("permittivity", "morgan")[pool][seen["history"]["molecule"][20:25]] == 1
    pairs = [(a & b).sum() / (a | b).sum() for i, a in enumerate(bits) for b in bits[:i]]
    assert len(pairs) == 10
    assert first["alike"] == pytest.approx(np.mean(pairs), rel=1e-6)


@pytest.mark.parametrize("share", ["0.0", "0.5"])
def test_the_shuffled_game_is_that_of_the_lesson(share):
    pool, _, X = bo.game_pool("permittivity")
    X, y, start = X[pool], dionysus.read("permittivity").y[pool], 3
    rng = np.random.default_rng(start)  # as lesson 07 shuffles
    rows = rng.permutation(len(X))[: int(float(share) * len(X))]
    wrong = X.copy()
    wrong[rows] = X[rng.permutation(rows)]
    method = {"EI": {**bo.EI, "batch": "top", "model": GPRegressor(n_restarts=0)}}
    live = campaigns(method, y, X=wrong, **bo.SIZES, n_starts=1, random_state=start)
    (row,) = bo.shuffled("permittivity", start, share)
    assert row["new_hits"] == live["new_hit_fraction"].iloc[-1]


def test_the_luck_of_a_noisy_game_is_what_was_measured_less_the_truth(monkeypatch):
    seen = {}

    def spy(*given, **options):
        seen["found"], seen["noise"] = campaign(*given, **options), options["noise"]
        return seen["found"]

    monkeypatch.setattr(bo, "campaign", spy)
    rows = list(bo.game("permittivity", 0, "greedy, noisy"))
    history, truth = seen["found"].history, dionysus.read("permittivity").y[bo.divide("permittivity")[0]]
    best = history.loc[history["value"].idxmax()]
    assert rows[-1]["luck"] == pytest.approx((best["value"] - truth[best["molecule"]]) / seen["noise"])
    assert seen["noise"] == pytest.approx(truth.std() / 3)
