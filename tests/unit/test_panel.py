"""Era panels: the simulator against its own equations, Numerai's files, era scores, burn detection, divergences."""

from __future__ import annotations

import subprocess
import sys
import weakref

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from course_lib.panel import (
    burn_detection,
    era_scores,
    jensen_shannon,
    load_numerai,
    published,
    score_posterior,
    sharpe,
    simulate,
    symmetric_kl,
)


# --- the simulator ---
def test_shapes_and_names():
    panel = simulate(5, 7, 10, random_state=1)
    assert panel.X.shape == (35, 10)
    assert panel.X.dtype == np.float32
    assert panel.features[0] == "feature_00"
    assert list(panel.targets) == ["alpha_20", "alpha_60", "beta_20", "beta_60", "gamma_20", "gamma_60"]
    assert len(panel.targets) == len(panel) == 35
    assert panel.eras.tolist() == np.repeat(range(5), 7).tolist()
    assert (panel.truth["burn"] == (panel.truth["effect"] < 0)).all()
    assert panel.signal.shape == (35, 3)


def test_same_seed_same_panel():
    one, two, other = (simulate(4, 20, random_state=seed) for seed in (3, 3, 4))
    assert np.array_equal(one.X, two.X)
    assert one.targets.equals(two.targets)
    assert not np.array_equal(one.X, other.X)


def test_features_correlate_within_groups_only():
    panel = simulate(1, 40_000, 9, n_groups=3, flip_rate=0.0)
    found = np.corrcoef(panel.X.T)
    same = np.arange(9) % 3 == (np.arange(9) % 3)[:, None]
    np.testing.assert_allclose(found, np.where(np.eye(9) > 0, 1, np.where(same, 0.5, 0)), atol=4 / np.sqrt(40_000))


def test_signals_have_variance_one_and_share_what_they_should():
    for shared, low, high in ((1.0, 1 - 1e-9, 1 + 1e-9), (0.0, -0.5, 0.5)):
        signal = simulate(4, 2000, shared=shared, random_state=2).signal
        np.testing.assert_allclose(signal.std(axis=0), 1)
        np.testing.assert_allclose(signal.mean(axis=0), 0, atol=1e-9)
        correlation = np.corrcoef(signal.T)[np.triu_indices(3, 1)]
        assert (correlation >= low).all()
        assert (correlation <= high).all()


def test_effects_flip_at_their_rate_and_keep_their_size():
    truth = simulate(4000, 2, flip_rate=0.3).truth
    assert truth["burn"].mean() == pytest.approx(0.3, abs=4 * np.sqrt(0.3 * 0.7 / 4000))
    size = truth["effect"].abs()
    assert size.between(0.5, 1.5).all()
    assert size.mean() == pytest.approx(1.0, abs=4 / np.sqrt(12 * 4000))


def test_the_signal_correlates_with_each_era_as_its_effect_says():
    c, n = 0.3, 4000
    panel = simulate(40, n, signal=c, flip_rate=0.4, random_state=5)
    a, s = panel.truth["effect"].to_numpy(), panel.signal[:, 0].reshape(40, n)
    # given the era's own spread of the signal, the target is a line in it plus noise
    slope = c * a * s.std(axis=1)
    expected = slope / np.sqrt(slope**2 + 1 - c**2)
    y = panel.targets["alpha_20"].to_numpy().reshape(40, n)
    found = np.array([np.corrcoef(x, z)[0, 1] for x, z in zip(s, y, strict=True)])
    assert np.abs(found - expected).max() < 4.5 / np.sqrt(n)
    assert (np.sign(found) == np.where(panel.truth["burn"], -1, 1)).all()


def test_sixty_days_hold_the_first_twenty_and_their_own_effects():
    panel = simulate(3000, 30, signal=0.0, random_state=0)
    y = panel.targets
    noise = 4 / np.sqrt(len(panel))
    assert np.corrcoef(y["alpha_20"], y["alpha_60"])[0, 1] == pytest.approx(1 / np.sqrt(3), abs=noise)
    assert np.corrcoef(y["alpha_20"], y["beta_20"])[0, 1] == pytest.approx(0.7, abs=noise)
    assert y["gamma_60"].std() == pytest.approx(1, abs=noise)
    # with an effect: three of them add up, so the long target has more signal wherever signs agree
    panel = simulate(400, 300, signal=0.2, flip_rate=0.0, random_state=1)
    by_days = [np.corrcoef(panel.signal[:, 0], panel.targets[f"alpha_{d}"])[0, 1] for d in (20, 60)]
    assert by_days[1] / by_days[0] == pytest.approx(np.sqrt(3), rel=0.08)


def test_burn_eras_show_in_the_features_only_when_asked():
    for scale in (1.0, 1.5):
        panel = simulate(60, 500, flip_rate=0.5, burn_scale=scale, random_state=1)
        spread = pd.Series(panel.X.std(axis=1)).groupby(panel.eras).mean()
        by_burn = spread.groupby(panel.truth["burn"].to_numpy()).mean()
        assert by_burn[True] / by_burn[False] == pytest.approx(scale, rel=0.02)


def test_split_is_in_time_and_by_whole_eras():
    panel = simulate(6, 5)
    train, test = panel.split(4)
    assert np.unique(train.eras).tolist() == [0, 1, 2, 3]
    assert np.unique(test.eras).tolist() == [4, 5]
    assert test.truth.index.tolist() == [4, 5]
    assert np.array_equal(test.X, panel.X[20:])
    assert test.targets.index.tolist() == list(range(10))
    assert test.targets["beta_60"].tolist() == panel.targets["beta_60"].iloc[20:].tolist()
    for n in (0, 6):
        with pytest.raises(ValueError, match="give 1 to 5"):
            panel.split(n)


@pytest.mark.parametrize(
    ("knob", "message"),
    [
        ({"n_rows": 1}, "n_rows is 1: give a whole number of at least 2"),
        ({"n_features": 3}, "n_features is 3: give a whole number of at least 8"),
        ({"n_eras": 2.5}, "n_eras is 2.5"),
        ({"signal": 1.2}, "signal is 1.2: give a number between 0 and 1"),
        ({"flip_rate": -0.1}, "flip_rate"),
        ({"shared": 2}, "shared"),
        ({"burn_scale": 0}, "burn_scale is 0: give a factor above 0"),
    ],
)
def test_a_knob_out_of_range_is_a_clear_error(knob, message):
    with pytest.raises(ValueError, match=message):
        simulate(**{"n_eras": 2, "n_rows": 3, **knob})


# --- Numerai's files ---
def numerai_table(n_eras: int = 6, n_rows: int = 50) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = n_eras * n_rows
    table = pd.DataFrame({f"feature_{name}": rng.integers(0, 5, n).astype(np.int8) for name in ("one", "two", "three")})
    table["target"], table["target_nomi_60"] = rng.integers(0, 5, size=(2, n)) / 4
    table.insert(0, "era", np.repeat([f"{era:04d}" for era in range(1, n_eras + 1)], n_rows))
    table.insert(1, "data_type", "train")
    table.loc[n - 3 :, "target"] = np.nan  # the latest rows of the real files have no target yet
    return table


@pytest.fixture
def numerai_file(tmp_path):
    pytest.importorskip("pyarrow", reason="Parquet files are read with pyarrow, which is not installed")
    path = tmp_path / "train.parquet"

    def write(table: pd.DataFrame):
        table.to_parquet(path, row_group_size=64)
        return path

    return write


COLUMNS = ["feature_two", "target_nomi_60", "feature_one", "target"]


def test_reads_the_columns_asked_for(numerai_file):
    table = numerai_table()
    panel = load_numerai(numerai_file(table), COLUMNS)
    assert panel.features == ("feature_two", "feature_one")
    assert list(panel.targets) == ["target_nomi_60", "target"]
    assert panel.n_dropped == 3
    kept = table.iloc[:-3]
    assert np.array_equal(panel.X, kept[["feature_two", "feature_one"]].to_numpy(np.float32))
    assert np.allclose(panel.targets["target"], kept["target"])
    assert panel.eras.tolist() == kept["era"].astype(int).tolist()
    assert panel.truth is None
    assert len(panel.split(4)[1]) == 97


def test_keeps_every_second_era(numerai_file):
    table = numerai_table()
    panel = load_numerai(numerai_file(table), COLUMNS, every=2)
    assert np.unique(panel.eras).tolist() == [1, 3, 5]
    assert np.array_equal(panel.X[:, 1], table.loc[table["era"].isin(["0001", "0003", "0005"]), "feature_one"])


def test_eras_of_the_older_files(numerai_file):
    table = numerai_table()
    table["era"] = "era" + table["era"].str.lstrip("0")
    assert np.unique(load_numerai(numerai_file(table), COLUMNS).eras).tolist() == [1, 2, 3, 4, 5, 6]


def with_text(table):
    table["feature_one"] = "x"


def with_a_gap(table):
    table["feature_two"] = table["feature_two"].astype(float)
    table.loc[60, "feature_two"] = np.nan


def with_a_test_era(table):
    table.loc[70, "era"] = "eraX"


@pytest.mark.parametrize(
    ("change", "columns", "message"),
    [
        (None, ["feature_one", "feature_four", "target"], "no column 'feature_four'"),
        (None, ["feature_one"], "at least one"),
        (None, ["feature_one", "feature_one", "target"], "each once"),
        (None, ["feature_one", "target", "era"], "nothing else"),
        (with_text, COLUMNS, "'feature_one' of train.parquet is .*string, not a number"),
        (with_a_gap, COLUMNS, "'feature_two' is missing in era 2"),
        (with_a_test_era, COLUMNS, "row 70 of train.parquet: era is 'eraX'"),
    ],
)
def test_a_file_with_another_schema_is_a_clear_error(numerai_file, change, columns, message):
    table = numerai_table()
    if change is not None:
        change(table)
    with pytest.raises(ValueError, match=message):
        load_numerai(numerai_file(table), columns)


def test_what_is_no_parquet_file_or_not_there_or_too_large(numerai_file, tmp_path, monkeypatch):
    path = numerai_file(numerai_table())
    monkeypatch.setattr("course_lib.panel.numerai.LARGEST", 1000)
    with pytest.raises(ValueError, match="300 rows x 4 columns take more than"):
        load_numerai(path, COLUMNS)
    path.write_text("era,feature_one\n")
    with pytest.raises(ValueError, match="train.parquet is not a Parquet file"):
        load_numerai(path, COLUMNS)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        load_numerai(tmp_path / "nothing.parquet", COLUMNS)
    with pytest.raises(ValueError, match="every is 0"):
        load_numerai(path, COLUMNS, every=0)


def test_without_pyarrow_the_error_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ModuleNotFoundError, match="pip install pyarrow"):
        load_numerai(tmp_path / "x.parquet", COLUMNS)


# --- era scores ---
def test_era_scores_are_spearmans_with_ties():
    rng = np.random.default_rng(0)
    eras = rng.permutation(np.repeat([3, 1, 2], [30, 20, 25]))
    y, prediction = rng.integers(0, 5, 75), rng.integers(0, 8, 75).astype(float)
    found = era_scores(prediction, y, eras)
    assert found.index.tolist() == [1, 2, 3]
    for era in (1, 2, 3):
        rows = eras == era
        assert found[era] == pytest.approx(stats.spearmanr(prediction[rows], y[rows])[0])


def test_a_constant_prediction_scores_nothing_and_bad_input_is_an_error():
    eras, y = np.repeat([0, 1], 5), np.arange(10.0)
    found = era_scores(np.r_[np.zeros(5), np.arange(5)], y, eras)
    assert found.tolist() == pytest.approx([0, 1])
    with pytest.raises(ValueError, match=r"prediction\[2\] is nan"):
        era_scores(np.where(np.arange(10) == 2, np.nan, 1.0), y, eras)
    with pytest.raises(ValueError, match=r"shape \(9,\) for 10 rows"):
        era_scores(y[:9], y, eras)
    with pytest.raises(ValueError, match="era 7 has one row"):
        era_scores(y, y, np.r_[eras[:9], 7])
    with pytest.raises(ValueError, match="two lists of the same length"):
        era_scores(y, y, eras[:3])


def test_sharpe():
    assert sharpe([0.01, 0.03]) == pytest.approx(2.0)
    with pytest.raises(ValueError, match="different scores"):
        sharpe([0.02, 0.02])


def test_posterior_scores_are_those_of_each_sample_and_of_their_mean():
    rng = np.random.default_rng(1)
    eras, y = np.repeat(np.arange(6), 40), rng.normal(size=240)
    samples = 0.3 * y + rng.normal(size=(50, 240))
    found = score_posterior(iter(samples), y, eras)
    by_hand = [era_scores(sample, y, eras) for sample in samples]
    assert found.samples["correlation"].tolist() == pytest.approx([scores.mean() for scores in by_hand])
    assert found.samples["sharpe"].tolist() == pytest.approx([sharpe(scores) for scores in by_hand])
    np.testing.assert_allclose(found.mean, samples.mean(axis=0))
    np.testing.assert_allclose(found.spread, samples.std(axis=0))
    pd.testing.assert_series_equal(found.eras, era_scores(samples.mean(axis=0), y, eras))
    # independent noise averages out: the ensemble beats its members
    assert found.eras.mean() > found.samples["correlation"].mean() + 0.2
    with pytest.raises(ValueError, match="no sample"):
        score_posterior(iter([]), y, eras)


def test_samples_are_let_go_one_by_one():
    rng, alive, most = np.random.default_rng(0), set(), 0

    def draws():
        nonlocal most
        for number in range(30):
            sample = rng.normal(size=100)
            alive.add(number)
            weakref.finalize(sample, alive.discard, number)
            most = max(most, len(alive))
            yield sample

    score_posterior(draws(), rng.normal(size=100), np.repeat([0, 1], 50))
    assert most <= 2


def test_a_thousand_samples_of_a_network_are_scored_within_512_mb():
    """All predictions at once would take 200 MB beside what the packages take."""
    program = """
import re
import resource
from pathlib import Path
import numpy as np
from course_lib.models import BNNRegressor
from course_lib.panel import score_posterior
rng = np.random.default_rng(0)
X = rng.normal(size=(25_000, 2))
model = BNNRegressor((2,), n_steps=5, n_samples=2).fit(X[:100], X[:100, 0])
found = score_posterior(model.sample_functions(X, 1000), X[:, 0], np.repeat(np.arange(10), 2500))
assert len(found.samples) == 1000
status = Path("/proc/self/status")  # elsewhere the peak of the process that started this one may be counted too
kilobytes = re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1] if status.exists() else None
print(int(kilobytes or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 1024)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert float(run.stdout) < 512


# --- what the spread announces ---
def test_burn_detection_says_yes_no_and_the_other_way_round():
    rng = np.random.default_rng(0)
    eras, burn = np.repeat(np.arange(40), 10), np.arange(40) % 4 == 0
    spread = rng.uniform(1, 2, size=400)
    known = burn_detection(spread + 3 * burn[eras], eras, burn)
    assert [known.estimate, known.low] == pytest.approx([1, 1])
    assert burn_detection(spread - 3 * burn[eras], eras, burn).estimate == 0.0
    nothing = burn_detection(spread, eras, burn)
    assert nothing.low < 0.5 < nothing.high


def test_burn_detection_counts_pairs_of_era_means():
    eras, spread = np.repeat([0, 1, 2, 3], 2), np.array([1, 3, 5, 5, 0, 2, 8, 8.0])  # means 2, 5, 1, 8
    found = burn_detection(spread, eras, [True, False, False, True])
    assert found.estimate == pytest.approx(3 / 4)  # 2 < 5, 2 > 1, 8 > 5, 8 > 1


def test_burn_detection_holds_its_level():
    """Two normal spreads one standard deviation apart: the area is Phi(1 / sqrt 2)."""
    rng, truth, hits = np.random.default_rng(0), stats.norm.cdf(1 / np.sqrt(2)), 0
    eras, burn = np.arange(80), np.arange(80) < 25
    for seed in range(100):
        found = burn_detection(rng.normal(size=80) + burn, eras, burn, random_state=seed)
        hits += found.low <= truth <= found.high
    assert 0.87 <= hits / 100 < 1


@pytest.mark.parametrize(("burn", "message"), [([True] * 3, "3 of 3 eras burn"), ([True, False], "for 3 eras")])
def test_burn_detection_needs_both_kinds(burn, message):
    with pytest.raises(ValueError, match=message):
        burn_detection(np.ones(6), np.repeat([0, 1, 2], 2), burn)


# --- divergences ---
@pytest.mark.parametrize("pair", [(0, 1, 0.5, 2), (0.0142, 0.0023, 0.0049, 0.0072), (3, 0.01, 3.2, 5)])
def test_jensen_shannon_is_what_sampling_says_and_symmetric(pair):
    mean_p, std_p, mean_q, std_q = pair
    found = jensen_shannon(*pair)
    rng, p, q = np.random.default_rng(0), stats.norm(mean_p, std_p), stats.norm(mean_q, std_q)
    drawn = []
    for one in (p, q):
        x = one.rvs(200_000, random_state=rng)
        drawn.append(one.logpdf(x) - np.logaddexp(p.logpdf(x), q.logpdf(x)) + np.log(2))
    noise = np.sqrt(sum(values.var() for values in drawn) / 4 / 200_000)
    assert found == pytest.approx(np.mean(drawn), abs=4 * noise)
    assert found == pytest.approx(jensen_shannon(mean_q, std_q, mean_p, std_p), rel=1e-9)
    assert 0 < found < np.log(2)


def test_jensen_shannon_ends_at_nothing_and_at_ln_2():
    assert jensen_shannon(1.0, 2.0, 1.0, 2.0) == pytest.approx(0, abs=1e-9)
    assert jensen_shannon(0.0, 1.0, 100.0, 1.0) == pytest.approx(np.log(2), abs=1e-9)
    assert jensen_shannon(0.0, 1.0, 0.0, 1e4) < np.log(2) + 1e-9


def test_symmetric_kl_has_no_bound_and_is_the_mean_of_both_directions():
    mean_p, std_p, mean_q, std_q = 0.3, 1.2, -0.5, 0.7

    def kl(m, s, n, t):
        return np.log(t / s) + (s**2 + (m - n) ** 2) / (2 * t**2) - 0.5

    both = kl(mean_p, std_p, mean_q, std_q), kl(mean_q, std_q, mean_p, std_p)
    assert symmetric_kl(mean_p, std_p, mean_q, std_q) == pytest.approx(np.mean(both))
    assert symmetric_kl(0, 1, 0, 1) == pytest.approx(0)
    assert symmetric_kl(0, 1, 10, 1) == pytest.approx(50)


@pytest.mark.parametrize("function", [jensen_shannon, symmetric_kl])
def test_a_width_of_zero_is_an_error(function):
    with pytest.raises(ValueError, match="both must be above 0"):
        function(0, 1, 0, 0)


def test_the_published_divergences_but_one_are_impossible():
    table = published()
    assert not table.duplicated(["table", "model", "prior", "measure"]).any()
    assert np.isfinite(table["value"]).all()
    divergences = table.loc[table["table"] == "divergence", "value"]
    assert len(divergences) == 6
    assert (divergences > np.log(2)).sum() == (divergences > 1).sum() == 5
