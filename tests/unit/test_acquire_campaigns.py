"""Picking and campaigns: what is believed, what is seen, what is shared between methods, and truths planted."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern
from sklearn.linear_model import LinearRegression

from course_lib import evaluate, models
from course_lib.acquire import (
    ACQUISITIONS,
    campaign,
    campaigning,
    campaigns,
    function_samples,
    pick,
    thompson,
    upper_confidence_bound,
)
from course_lib.acquire.picking import WITHOUT_MODEL, beliefs
from course_lib.models import baselines

# Names of models load torch when they are used: a worker that only needs the processes below starts without it.
NOISE = 0.3
KERNEL = Matern(0.5, nu=1.5)


class Fixed(RegressorMixin, BaseEstimator):
    """A process with fixed hyperparameters and a constant mean of 0."""

    def fit(self, X, y):
        self.process_ = GaussianProcessRegressor(KERNEL, alpha=NOISE**2, optimizer=None).fit(X, y)
        return self

    def predict_parts(self, X):
        mean, std = self.process_.predict(X, return_std=True)
        total = np.sqrt(std**2 + NOISE**2)
        return pd.DataFrame({"mean": mean, "std": total, "epistemic": std, "aleatoric": NOISE})

    def predict(self, X, return_std=False):
        parts = self.predict_parts(X)
        return (parts["mean"].to_numpy(), parts["std"].to_numpy()) if return_std else parts["mean"].to_numpy()


class FixedExact(Fixed):
    """The same with its posterior covariance, which the batch then uses."""

    def covariance(self, X):
        return self.process_.predict(X, return_cov=True)[1]


@pytest.fixture(scope="module")
def pool():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(80, 2))
    return X, np.sin(3 * X[:, 0]) + X[:, 1]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))


# --- what a model believes ---
def test_beliefs_take_the_epistemic_part_where_there_is_one(pool):
    X, y = pool
    gp = models.GPRegressor(n_restarts=0).fit(X[:30], y[:30])
    parts = gp.predict_parts(X)
    assert np.array_equal(beliefs(gp, X).std, parts["epistemic"])
    assert np.array_equal(beliefs(gp, X).total, parts["std"])
    trees = models.NGBoostRegressor(n_estimators=5, n_folds=0).fit(X[:30], y[:30])
    assert np.array_equal(beliefs(trees, X).std, trees.predict(X, return_std=True)[1])
    assert np.isnan(beliefs(LinearRegression().fit(X, y), X).std).all()


def test_covariance_of_the_process_fits_its_variance_and_scikit_learns(pool):
    X, y = pool
    gp = models.GPRegressor(n_restarts=0).fit(X[:30], y[:30])
    C = gp.covariance(X)
    assert np.diag(C) == pytest.approx(gp.predict_parts(X)["epistemic"].to_numpy() ** 2, rel=1e-6, abs=1e-12)
    value, Z = gp.hyperparameters_, gp.inputs_.transform(X)
    kernel = value["outputscale"] * Matern(value["lengthscale"], nu=1.5)
    twin = GaussianProcessRegressor(kernel, alpha=value["noise"], optimizer=None).fit(Z[:30], y[:30])
    expected = twin.predict(Z, return_cov=True)[1] * gp.y_scale_**2
    assert pytest.approx(expected, rel=1e-6, abs=1e-10) == C


def test_joint_draws_have_the_covariance_and_independent_ones_do_not(pool):
    X, y = pool
    near = np.array([[0.9, 0.9], [0.92, 0.9]])
    for kind, joint in ((FixedExact, True), (Fixed, False)):
        samples, said = function_samples(kind().fit(X[:5], y[:5]), near, 4000, 1)
        assert said is joint
        assert (np.corrcoef(samples.T)[0, 1] > 0.9) is np.bool_(joint)
        spread = kind().fit(X[:5], y[:5]).predict_parts(near)["epistemic"]
        assert samples.std(axis=0) == pytest.approx(spread.to_numpy(), rel=0.05)


def test_a_network_draws_whole_functions(pool):
    X, y = pool
    samples, joint = function_samples(models.BNNRegressor(hidden=(8,), n_steps=20).fit(X[:30], y[:30]), X, 3, 0)
    assert joint
    assert samples.shape == (3, 80)


# --- picking ---
def test_thompson_picks_a_molecule_as_often_as_it_is_the_best_of_a_joint_draw(pool):
    X, y = pool
    model, measured = FixedExact().fit(X[:10], y[:10]), np.arange(10)
    twins = np.array([[0.9, 0.9], [0.91, 0.9]])  # nearly one molecule: they share its chance to be the best
    X, candidates = np.vstack([X[:14], twins]), np.arange(10, 16)
    rng, picked = np.random.default_rng(0), np.zeros(16)
    for _ in range(2000):
        picked[pick(model, X, measured, y[:10], candidates, 1, "thompson", random_state=rng)["molecule"].iloc[0]] += 1
    mean, C = model.process_.predict(X[candidates], return_cov=True)
    draws = np.random.default_rng(1).multivariate_normal(mean, C, size=200_000)
    expected = np.bincount(draws.argmax(axis=1), minlength=6) / 200_000
    assert (expected > 0.05).sum() >= 2  # a test with something to choose
    assert picked[candidates] / 2000 == pytest.approx(expected, abs=4 * np.sqrt(0.25 / 2000))


@pytest.mark.parametrize("acquisition", ["log_expected_improvement", "upper_confidence_bound", "variance"])
def test_the_believer_conditions_as_fitting_again_does(pool, acquisition):
    X, y = pool
    seen, free = np.arange(8), np.arange(8, 80)
    tables = [
        pick(kind().fit(X[seen], y[seen]), X, seen, y[seen], free, 5, acquisition) for kind in (Fixed, FixedExact)
    ]
    pd.testing.assert_frame_equal(*tables, rtol=1e-6)


def test_a_batch_spreads_out_and_the_top_does_not(pool):
    X, y = pool
    X, y = np.repeat(X, 2, axis=0), np.repeat(y, 2)  # every molecule has a twin
    seen, free = np.arange(16), np.arange(16, 160)
    model = FixedExact().fit(X[seen], y[seen])
    chosen = {
        batch: pick(model, X, seen, y[seen], free, 4, "expected_improvement", batch=batch)["molecule"].to_numpy()
        for batch in ("believer", "top")
    }
    assert len(set(chosen["top"] // 2)) == 2
    assert len(set(chosen["believer"] // 2)) == 4


def test_greedy_takes_the_largest_means_and_a_function_of_ones_own_is_obeyed(pool):
    X, y = pool
    seen, free = np.arange(8), np.arange(8, 80)
    model = FixedExact().fit(X[seen], y[seen])
    mean = beliefs(model, X[free]).mean
    found = pick(model, X, seen, y[seen], free, 3, "greedy")
    assert found["molecule"].tolist() == free[np.argsort(-mean)[:3]].tolist()
    own = pick(model, X, seen, y[seen], free, 3, lambda mean, std, best: -np.abs(mean - best), batch="top")
    assert own["molecule"].tolist() == free[np.argsort(np.abs(mean - y[seen].max()))[:3]].tolist()


def test_nearest_neighbour_needs_no_model():
    X = np.array(["CCO", "CCCO", "c1ccccc1", "CCCCO"], dtype=object)
    found = pick(None, X, [0], [1.0], [1, 2, 3], 2, "nearest_neighbour")
    assert found["molecule"].tolist() == [1, 3]
    # of two that are equally good, the neighbours of either
    X = np.array([[0.0], [10.0], [3.0], [10.5], [0.2]])
    assert pick(None, X, [0, 1], [1.0, 1.0], [2, 3, 4], 2, "nearest_neighbour")["molecule"].tolist() == [4, 3]


def test_no_molecule_is_picked_twice_when_the_scores_are_minus_infinity(pool):
    X, y = pool

    def hopeless(mean, std, best):
        return np.full(len(mean), -np.inf)

    for batch in ("top", "believer"):
        found = pick(FixedExact().fit(X[:9], y[:9]), X, range(9), y[:9], range(9, 80), 4, hopeless, batch=batch)
        assert found["molecule"].nunique() == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"acquisition": "entropy"}, "unknown acquisition 'entropy': choose from expected_improvement"),
        ({"acquisition": ["greedy"]}, r"unknown acquisition \['greedy'\]: choose from"),
        ({"acquisition": thompson}, "acquisition is the function thompson: give its name, 'thompson'"),
        ({"k": 73}, "cannot pick 73 of 72"),
        ({"batch": "all"}, "choose 'believer' or 'top'"),
        ({"acquisition": lambda mean, std, best: mean[:3]}, "one number for each of the 72 candidates"),
        ({"acquisition": lambda mean, std, best: mean * np.nan}, "72 of them NaN"),
        ({"k": 1.5}, "k is 1.5: give a whole number of at least 1"),
        ({"k": None}, "k is None: give a whole number"),
        ({"candidates": [8, 9, 8]}, "row 8 stands twice among the candidates"),
        ({"candidates": [7, 9]}, "row 7 is measured and a candidate"),
        ({"candidates": [80]}, "row 80 is none of the 80 rows of X"),
        ({"candidates": np.arange(10, 20) + 0.7}, "candidates holds float64, not row numbers: whole numbers from 0"),
        ({"candidates": np.arange(80) > 8}, r"candidates holds bool, not row numbers: np.flatnonzero\(mask\) gives"),
        ({"X": pd.DataFrame(np.zeros((80, 2)))}, r"X is a pandas table: give X.to_numpy\(\)"),
        ({"y": [1.0]}, r"measured has shape \(8,\), y \(1,\): give one value"),
        ({"y": [np.nan, *range(7)]}, r"y\[0\] is nan: leave out what has not been measured"),
        ({"best": np.nan}, "best is nan"),
        ({"best": "high"}, "best is 'high': give the value to beat"),
        ({"model": None}, "acquisition 'greedy' needs a model"),
    ],
)
def test_errors_of_pick_name_the_remedy(pool, change, message):
    X, y = pool
    given = {
        "model": Fixed().fit(X[:8], y[:8]), "X": X, "measured": np.arange(8), "y": y[:8],
        "candidates": np.arange(8, 80), "k": 1, "acquisition": "greedy",
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        pick(**{**given, **change})


@pytest.mark.parametrize("acquisition", [name for name in ACQUISITIONS if name not in WITHOUT_MODEL])
@pytest.mark.parametrize("strange", [np.nan, np.inf])
def test_a_prediction_that_is_not_finite_is_an_error_and_never_the_pick(pool, acquisition, strange):
    class Strange(FixedExact):
        def predict_parts(self, X):
            parts = super().predict_parts(X)
            parts.loc[0, "mean"] = strange
            return parts

    X, y = pool
    with pytest.raises(ValueError, match="is finite"):
        pick(Strange().fit(X[:8], y[:8]), X, np.arange(8), y[:8], np.arange(8, 80), 2, acquisition)


def test_thompson_without_a_posterior_of_functions_says_so(pool):
    X, y = pool
    with pytest.warns(UserWarning, match="Fixed has no posterior of functions"):
        pick(Fixed().fit(X[:8], y[:8]), X, np.arange(8), y[:8], np.arange(8, 80), 1, "thompson")


def test_a_pipeline_is_believed_as_its_last_step(pool):
    """Else the noise of a measurement would count as doubt, and every pick of a batch would fit the model again."""
    X, y = pool
    noisy = y + np.random.default_rng(0).normal(0, 0.3, 80)
    model = baselines.gp_matern().fit(X[:40], noisy[:40])
    found = beliefs(model, X[40:])
    last, table = model[-1], model[:-1].transform(X[40:])
    assert found.total == pytest.approx(model.predict(X[40:], return_std=True)[1])
    noise = last.model_.kernel_.k2.noise_level * noisy[:40].var()
    assert found.total**2 - found.std**2 == pytest.approx(np.full(40, noise))
    C = last.covariance(table)
    assert np.sqrt(np.diag(C)) == pytest.approx(found.std)
    samples, joint = function_samples(model, X[40:], 4000, 0)
    assert joint
    assert np.cov(samples.T) == pytest.approx(C, abs=0.12 * np.diag(C).max())
    picked = pick(model, X, np.arange(40), noisy[:40], np.arange(40, 80), 3, "variance")
    assert picked["std"].iloc[0] == pytest.approx(found.std.max())
    assert picked["std"].is_monotonic_decreasing


def test_an_acquisition_that_needs_a_standard_deviation_says_so(pool):
    X, y = pool
    model = LinearRegression().fit(X[:8], y[:8])
    for acquisition in ("expected_improvement", "thompson"):
        with pytest.raises(ValueError, match="LinearRegression has none here"):
            pick(model, X, np.arange(8), y[:8], np.arange(8, 80), 1, acquisition)


# --- campaigns ---
SIZES = {"n_init": 6, "budget": 10, "batch_size": 4}


def test_history_is_what_happened(pool):
    X, y = pool
    test = (X[:20], y[:20])
    found = campaign(FixedExact(), X[20:], y[20:], **SIZES, acquisition="upper_confidence_bound", test=test)
    history = found.history
    molecule = history["molecule"].to_numpy()
    assert history["round"].value_counts().sort_index().tolist() == [6, 4, 4, 2]
    assert len(set(molecule)) == 16
    assert np.array_equal(history["value"], y[20:][molecule])
    assert np.array_equal(history["best"], np.maximum.accumulate(y[20:][molecule]))
    threshold = np.quantile(y[20:], 0.9)
    assert np.array_equal(history["hit"], y[20:][molecule] >= threshold)
    assert found.n_hits == (y[20:] >= threshold).sum()
    assert found.hit_fraction()[-1] == history["hit"].sum() / found.n_hits
    assert found.hit_fraction(count_start=False)[-1] == history["hit"][6:].sum() / found.n_hits
    for number, part in history.groupby("round"):  # scored by the model that has seen this round
        seen = molecule[: part.index[-1] + 1]
        mean, std = FixedExact().fit(X[20:][seen], y[20:][seen]).predict(X[:20], return_std=True)
        assert part["r2"].to_numpy() == pytest.approx(evaluate.r2(y[:20], mean)), number
        assert part["ama"].to_numpy() == pytest.approx(evaluate.miscalibration_area(y[:20], mean, std)), number


def test_the_loop_sees_only_what_it_has_measured(pool):
    X, y = pool
    first = campaign(FixedExact(), X, y, **SIZES, hits=y > 1).history
    other = np.where(np.isin(np.arange(80), first["molecule"]), y, 1000 - 7 * y)
    again = campaign(FixedExact(), X, other, **SIZES, hits=y > 1).history
    pd.testing.assert_frame_equal(first, again)


@pytest.mark.parametrize(
    ("name", "options"),
    [("GPRegressor", {"n_restarts": 0}), ("NGBoostRegressor", {"n_estimators": 10, "n_folds": 0})],
)
def test_minimising_is_maximising_the_negative_in_a_campaign(pool, name, options):
    (X, y), model = pool, getattr(models, name)(**options)
    given = {**SIZES, "noise": 0.1, "acquisition": "expected_improvement", "batch": "top", "test": (X[:9], y[:9])}
    down = campaign(model, X, y, maximise=False, **given).history
    up = campaign(model, X, -y, **(given | {"test": (X[:9], -y[:9])})).history
    for column in ("value", "best", "mean"):
        up[column] = -up[column]
    pd.testing.assert_frame_equal(down, up)


def test_methods_share_start_and_noise(pool):
    X, y = pool
    methods = {
        "EI": {"model": FixedExact(), "acquisition": "expected_improvement"},
        "random": {"model": None, "acquisition": "random"},
    }
    table = campaigns(methods, y, X=X, n_starts=2, noise=0.5, **SIZES)
    values = table.groupby(["start", "molecule"])["value"].nunique()
    assert (values == 1).all()
    starts = table[table["n"] <= 6].pivot(index=["start", "n"], columns="method", values="molecule")
    assert (starts["EI"] == starts["random"]).all()
    assert not np.array_equal(starts.loc[0], starts.loc[1])
    noise = table.drop_duplicates(["start", "molecule"])
    noise = noise["value"] - y[noise["molecule"]]
    assert 0.35 < noise.std() < 0.65


def test_with_noise_the_value_to_beat_is_not_the_luckiest_measurement(pool):
    X, y = pool
    asked = []

    def spy(mean, std, best):
        asked.append(best)
        return mean

    found = campaign(FixedExact(), X, y, n_init=30, budget=1, acquisition=spy, noise=1.0).history
    start = found[found["round"] == 0]
    model = FixedExact().fit(X[start["molecule"]], start["value"])
    assert asked == [pytest.approx(beliefs(model, X[start["molecule"]]).mean.max())]
    assert asked[0] < start["value"].max()
    campaign(FixedExact(), X, y, n_init=30, budget=1, acquisition=spy)
    assert asked[1] == y[start["molecule"]].max()


def test_classes_are_searched_by_probability(pool):
    X, y = pool
    positive = (y > np.quantile(y, 0.7)).astype(float)
    given = {"n_init": 12, "budget": 8, "batch_size": 4, "test": (X[:30], positive[:30]), "acquisition": "greedy"}
    found = campaign(models.GPClassifier(), X, positive, **given)
    assert found.n_hits == positive.sum()
    assert np.array_equal(found.history["hit"], positive[found.history["molecule"]] == 1)
    assert found.history["hit"][12:].mean() > 0.7  # three in ten by chance
    assert found.history["auroc"].between(0.5, 1).all()
    other = campaign(
        models.GPClassifier(), X, 1 - positive, maximise=False, **(given | {"test": (X[:30], 1 - positive[:30])})
    )
    assert np.array_equal(other.history["molecule"], found.history["molecule"])
    with pytest.raises(ValueError, match="for classes use 'greedy'"):
        campaign(models.GPClassifier(), X, positive, n_init=12, budget=8, acquisition="upper_confidence_bound")
    with pytest.raises(ValueError, match="all of one class: raise n_init"):
        campaign(models.GPClassifier(), X, np.eye(80)[0], n_init=12, budget=8, acquisition="greedy")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"budget": 75}, "n_init 6 and budget 75 exceed the pool of 80 molecules: lower the budget"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"noise": -1}, "noise is -1: give a standard deviation"),
        ({"hits": 1.5}, "hits is 1.5: give a share"),
        ({"hits": "0.1"}, "hits is '0.1': give a share"),
        ({"y": np.r_[np.zeros(75), np.ones(5)]}, "every molecule would be a hit, as 75 of 80"),
        ({"hits": [True]}, r"hits has shape \(1,\)"),
        ({"n_scored": 2}, "score at least a batch"),
        ({"model": None}, "needs a model: give one"),
        ({"n_init": None}, "n_init is None: give a whole number of at least 1"),
        ({"n_init": 2.5}, "n_init is 2.5: give a whole number"),
        ({"n_init": 1}, "n_init is 1: a model learns from 2 molecules at least"),
        ({"n_scored": 6.5}, "n_scored is 6.5: give a whole number"),
        ({"noise": "a"}, "noise is 'a': give a standard deviation"),
        ({"maximise": "min"}, "maximise is 'min': give True"),
        ({"test": ([[0.0, 0.0]],)}, r"test must be \(X, y\)"),
        ({"test": ([[0.0, 0.0]], 1.0)}, r"test must be \(X, y\)"),
        ({"test": ([[0.0, 0.0], [1.0, 1.0]], [1.0, np.nan])}, r"test: y\[1\] is nan: leave out"),
        ({"test": ([[0.0, 0.0]], [1.0, 2.0])}, "test has lengths"),
        ({"y": np.r_[np.nan, np.ones(79)]}, r"y\[0\] is nan \(1 such rows\)"),
    ],
)
def test_errors_of_campaign_name_the_remedy(pool, change, message):
    given = {"model": FixedExact(), "X": pool[0], "y": pool[1], **SIZES, **change}
    with pytest.raises(ValueError, match=message):
        campaign(**given)


def test_equal_scores_do_not_leak_the_order_of_the_pool():
    y = np.sort(np.random.default_rng(0).normal(size=200))[::-1]  # the best molecules stand first
    X = np.zeros((200, 2))
    found = [
        campaign(FixedExact(), X, y, n_init=5, budget=20, acquisition="greedy", random_state=k).hit_fraction()[-1]
        for k in range(40)
    ]
    assert 0.06 < np.mean(found) < 0.19  # chance: 25 of 200


def test_nothing_is_fitted_after_the_last_measurement(pool):
    fitted = []

    class Counting(FixedExact):
        def fit(self, X, y):
            fitted.append(len(y))
            return super().fit(X, y)

    campaign(Counting(), *pool, n_init=6, budget=4, batch_size=2)
    assert fitted == [6, 8]
    campaign(Counting(), *pool, n_init=6, budget=4, batch_size=2, test=pool)
    assert fitted == [6, 8, 6, 8, 10]


def test_a_method_may_not_bring_a_seed_of_its_own(pool):
    with pytest.raises(ValueError, match="'a' has its own random_state: methods share their starts"):
        campaigns({"a": {"model": FixedExact(), "random_state": 5}}, pool[1], X=pool[0], n_starts=1, **SIZES)


def test_scoring_part_of_the_pool_picks_the_best_of_that_part(pool, monkeypatch):
    X, y = pool
    parts = []

    def spy(model, X, measured, y, candidates, k, acquisition, **options):
        table = pick(model, X, measured, y, candidates, k, acquisition, **options)
        parts.append((np.asarray(candidates), table["molecule"].to_numpy(), beliefs(model, X[candidates]).mean))
        return table

    monkeypatch.setattr(campaigning, "pick", spy)
    campaign(FixedExact(), X, y, **SIZES, acquisition="greedy", n_scored=8)
    for part, picked, means in parts:
        assert len(set(part)) == 8
        assert picked.tolist() == part[np.argsort(-means, kind="stable")[: len(picked)]].tolist()
    assert len({tuple(sorted(part)) for part, *_ in parts}) == len(parts)  # drawn anew


def test_same_seed_same_answer_with_one_worker_or_two_and_from_the_cache(pool, monkeypatch, tmp_path):
    X, y = pool
    methods = {
        "Thompson": {"model": FixedExact(), "acquisition": "thompson"},
        "bound": {"model": FixedExact(), "acquisition": partial(upper_confidence_bound, kappa=2)},
        "plain": {"model": FixedExact(), "acquisition": upper_confidence_bound},
        "own": {"model": FixedExact(), "acquisition": lambda mean, std, best: mean + std},
    }
    tables = []
    for jobs in (1, 2):
        monkeypatch.setenv("COURSE_CACHE", str(tmp_path / str(jobs)))
        tables.append(campaigns(methods, y, X=X, n_starts=3, n_jobs=jobs, **SIZES))
    pd.testing.assert_frame_equal(*tables)

    def broken(*args, **kwargs):
        raise AssertionError("computed anew")

    monkeypatch.setattr(campaigning, "campaign", broken)
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "1"))
    for name in ("Thompson", "bound", "plain"):
        kept = campaigns({name: methods[name]}, y, X=X, n_starts=2, **SIZES)
        first = tables[0][(tables[0]["method"] == name) & (tables[0]["start"] < 2)]
        pd.testing.assert_frame_equal(kept, first.reset_index(drop=True))
    other = {"bound": {**methods["bound"], "acquisition": partial(upper_confidence_bound, kappa=3)}}
    for given, seed in ((methods, 1), (other, 0), ({"own": methods["own"]}, 0)):
        with pytest.raises(AssertionError, match="computed anew"):
            campaigns(given, y, X=X, n_starts=2, random_state=seed, **SIZES)


def test_whole_numbers_may_come_as_floats(pool):
    X, y = pool
    given = {"n_init": 6.0, "budget": np.float64(10), "batch_size": 4.0}
    found, same = campaign(FixedExact(), X, y, **given), campaign(FixedExact(), X, y, **SIZES)
    assert found.history.equals(same.history)


def test_campaigns_name_the_method_that_failed(pool):
    X, y = pool
    with pytest.raises(ValueError, match="method 'linear': .*has none here"):
        campaigns({"linear": {"model": LinearRegression()}}, y, X=X, n_starts=1, **SIZES)
    with pytest.raises(ValueError, match="method 'linear' has no features"):
        campaigns({"linear": {"model": LinearRegression()}}, y, n_starts=1, **SIZES)
    with pytest.raises(ValueError, match="methods is empty"):
        campaigns({}, y, X=X)
    with pytest.raises(ValueError, match="n_starts is 0: give a whole number of at least 1"):
        campaigns({"process": {"model": FixedExact()}}, y, X=X, n_starts=0, **SIZES)
    with pytest.raises(TypeError, match="method 'process': .*unexpected keyword argument 'budgets'"):
        campaigns({"process": {"model": FixedExact()}}, y, X=X, n_starts=1, budgets=3, **SIZES)


# --- planted truth ---
SCALE = 0.7


class Known(Fixed):
    """The process that the planted functions are drawn from: nothing to learn but the function."""

    def fit(self, X, y):
        self.process_ = GaussianProcessRegressor(Matern(SCALE, nu=1.5), alpha=1e-9, optimizer=None).fit(X, y)
        return self


def measurements_to_the_optimum(model, start: int) -> dict[str, float]:
    """Draw a noiseless function from the process's own prior on a pool of 400, and look for its maximum."""
    rng = np.random.default_rng(start)
    X = rng.uniform(-1, 1, size=(400, 2))
    y = np.linalg.cholesky(Matern(SCALE, nu=1.5)(X) + 1e-9 * np.eye(400)) @ rng.standard_normal(400)
    ei = campaign(model, X, y, n_init=5, budget=45, random_state=start, acquisition="expected_improvement")
    chance = campaign(None, X, y, n_init=5, budget=395, batch_size=395, random_state=start, acquisition="random")
    places = {
        name: np.flatnonzero(run.history["molecule"] == y.argmax()) for name, run in (("EI", ei), ("random", chance))
    }
    return {name: found[0] + 1 if len(found) else np.inf for name, found in places.items()}


def test_expected_improvement_finds_a_planted_optimum_before_random_in_27_of_30_starts():
    found = pd.DataFrame([measurements_to_the_optimum(Known(), start) for start in range(30)])
    assert (found["EI"] < found["random"]).sum() >= 27
