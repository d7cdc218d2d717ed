"""The full run behind lesson 09 and claims D1 to D7. Writes results/panel_*.csv.

    make reproduce                                  everything that is not done yet, then the verdicts
    python tools/reproduce_panel.py --stages study --jobs 2
    python tools/reproduce_panel.py --summary       only the verdicts, from what is there

The study used Numerai's data, which may not be passed on. Here its tables are made on simulated panels, over a grid of
regions that was fixed before the first fit: signal strength x rate of sign flips x what the kinds of targets share. In
every second region burn eras have wider features, so that they can be told by construction; in the others nothing in
the features tells them. A claim about one's own simulator is circular when it is read as one about Numerai: read it
region by region.

Two choices that the claims' rules leave open, made before the run. A burn era is one whose true effect is negative; the
study, without a truth, went by the sign of the model's own score (column ``auc_measured``). And the equal learning rate
of claim D3 is 1e-2: at the 1e-3 of the study's Bayesian networks a posterior would hardly leave its start in the few
steps that a panel this small gives. Those fits are there too, as "BNN slow" and "baseline slow". After the 800 steps
the bound still rises, so "BNN long" takes four times as many: it shows what stopping there does. No claim rests on it,
nor on the other fits that are made on one panel a region only: "BNN slow", the Bayesian networks of less depth, and the
normal and the Laplace prior on several targets.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import os
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import Lasso, LinearRegression, Ridge

from course_lib import datasets, evaluate, featurize, panel
from course_lib.models import BNNRegressor
from course_lib.splits import assert_no_leak, cluster_labels
from course_lib.teaching.claims import RESULT_COLUMNS, decide, holm, load_claims, verdict_of
from full_run import FullRun, Stage

REGIONS = {
    f"signal {signal} / flips {flips} / shared {shared} / burns {'seen' if scale > 1 else 'unseen'}": {
        "signal": signal,
        "flip_rate": flips,
        "shared": shared,
        "burn_scale": scale,
    }
    for i, (signal, flips, shared) in enumerate(itertools.product((0.06, 0.12), (0.2, 0.4), (0.3, 0.9)))
    for scale in ((1.5, 1.0)[i.bit_count() % 2],)  # every pair of knobs meets both
}
N_TRAIN, N_VALID, N_ROWS = 24, 40, 250  # eras to train and to validate on, rows of each
STUDIED, PANELS = 2, 10  # panels of a region for all tables, and for claim D4
SEEDS, FEW, SAMPLES = 10, 2, 1000  # seeds of the baseline and of all else: panels differ far more than seeds do
PRIORS = ("uniform", "normal", "laplace")
HIDDEN = (128, 64, 64)
BAYES = {"n_steps": 800, "batch_size": 512, "learning_rate": 1e-2}
MAIN = "alpha_20"
TARGETS = {
    "shared targets": (panel.SharedTargets, (MAIN, "beta_20", "gamma_20")),
    "heads of three kinds": (panel.TargetHeads, (MAIN, "beta_20", "gamma_20")),
    "heads of two horizons": (panel.TargetHeads, (MAIN, "alpha_60")),
    "60 days feed 20": (panel.ChainedTargets, (MAIN, "alpha_60")),
}
WITH_60 = ("heads of two horizons", "60 days feed 20")
STARTER = {"dropout": 0.1, "noise": 0.1}
MOLECULES = ("sublimation", "permittivity", "octane", "cetane", "dipole", "logp", "critical_temperature", "fusion")
PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "pyro-ppl")
CLAIMS = ("D1", "D2", "D3", "D4", "D5", "D6", "D7")


# --- panels and scores ----------------------------------------------------------------------------------------------
@cache
def draw(region: str, number: int) -> tuple[panel.Panel, panel.Panel]:
    """Return the training and the validation eras of one panel."""
    seed = 1000 * list(REGIONS).index(region) + number
    return panel.simulate(N_TRAIN + N_VALID, N_ROWS, **REGIONS[region], random_state=seed).split(N_TRAIN)


def auc(spread: np.ndarray, eras: np.ndarray, burn: np.ndarray) -> float:
    """Area under the ROC curve of the era means; NaN when all eras burn or none."""
    if burn.all() or not burn.any():
        return np.nan
    return panel.burn_detection(spread, eras, burn).estimate


def point_row(prediction: np.ndarray, valid: panel.Panel) -> dict[str, float]:
    """Score one prediction."""
    scores = panel.era_scores(prediction, valid.targets[MAIN], valid.eras)
    return {"correlation": scores.mean(), "sharpe": panel.sharpe(scores)}


def posterior_row(samples: Iterator[np.ndarray], valid: panel.Panel) -> dict[str, float]:
    """Score posterior samples one by one, their mean, and what their spread announces."""
    found = panel.score_posterior(samples, valid.targets[MAIN], valid.eras)
    measured = (found.eras < 0).to_numpy()
    return {
        "correlation": found.eras.mean(),
        "sharpe": panel.sharpe(found.eras),
        "samples_correlation": found.samples["correlation"].mean(),
        "samples_correlation_sd": found.samples["correlation"].std(),
        "samples_sharpe": found.samples["sharpe"].mean(),
        "samples_sharpe_sd": found.samples["sharpe"].std(),
        "n_samples": len(found.samples),
        "auc": auc(found.spread, valid.eras, valid.truth["burn"].to_numpy()),
        "auc_measured": auc(found.spread, valid.eras, measured),
        "n_burn": int(valid.truth["burn"].sum()),
        "n_burn_measured": int(measured.sum()),
    }


def bayes(prior: str, seed: int, kind: type[BNNRegressor] = BNNRegressor, **options: object) -> BNNRegressor:
    """Make a Bayesian network of the study's size."""
    return kind(**{"hidden": HIDDEN, **BAYES, **options}, prior=prior, random_state=seed)


# --- stage study: the table of ensembles, single samples and burn eras (D1 to D4) ------------------------------------
def study(region: str, number: int, model: str) -> Iterator[dict]:
    """Fit one of the study's models with its seeds; all 1 000 samples are scored for the first of them."""
    train, valid = draw(region, number)
    y, members = train.targets[MAIN], []
    for seed in range({"baseline": SEEDS, "BNN long normal": 1}.get(model, FEW)):
        if model.startswith("BNN"):
            options = {"learning_rate": 1e-3} if "slow" in model else {}
            options |= {"n_steps": 4 * BAYES["n_steps"]} if "long" in model else {}
            network = bayes(model.split()[-1], seed, **options).fit(train.X, y)
            samples = network.sample_functions(valid.X, SAMPLES if seed == 0 else SAMPLES // 10, random_state=seed)
            yield {"seed": seed, "arm": model, **posterior_row(samples, valid)}
        elif model == "starter":
            several = train.targets[[MAIN, "beta_20", "gamma_20"]]
            network = panel.EraNetwork(HIDDEN, **STARTER, random_state=seed).fit(train.X, several)
            yield {"seed": seed, "arm": model, **point_row(network.predict(valid.X), valid)}
            if seed == 0:
                samples = network.sample_functions(valid.X, SAMPLES // 10, random_state=seed)
                yield {"seed": seed, "arm": "MC dropout", **posterior_row(samples, valid)}
        else:
            on_the_way: list[dict] = []
            network = panel.EraNetwork(HIDDEN, learning_rate=1e-3 if "slow" in model else 1e-2, random_state=seed)
            network.fit(train.X, y, lambda net, seen=on_the_way: seen.append(point_row(net.predict(valid.X), valid)))
            members.append(network.predict(valid.X))
            yield {"seed": seed, "arm": model, **on_the_way[-1]}
            best = max(range(len(on_the_way)), key=lambda epoch: on_the_way[epoch]["correlation"])
            yield {"seed": seed, "arm": f"{model}, best epoch", **on_the_way[best], "epoch": best + 1}
    if len(members) == SEEDS:
        yield {"seed": 0, "arm": f"deep ensemble of {model}", **posterior_row(iter(members), valid)}


# --- stage burn: more panels for claim D4 ---------------------------------------------------------------------------
def burn(region: str, number: int, prior: str) -> Iterator[dict]:
    """Fit one Bayesian network, and score 200 samples of it."""
    train, valid = draw(region, number)
    network = bayes(prior, 0).fit(train.X, train.targets[MAIN])
    row = posterior_row(network.sample_functions(valid.X, SAMPLES // 5), valid)
    yield {"seed": 0, "arm": f"BNN {prior}", **row}


# --- stage molecules: clusters as eras (D4) -------------------------------------------------------------------------
def molecules(region: str, number: int, name: str) -> Iterator[dict]:
    """Predict each cluster from the others, and see whether the spread announces those ranked the wrong way round."""
    data = datasets.load(name)
    data = data.subset(np.sort(np.unique(data.groups, return_index=True)[1]))
    X = featurize.mordred2d(data.smiles).to_numpy(np.float32)
    cluster = cluster_labels(X, n_clusters=max(10, min(40, len(data) // 15)), random_state=number)
    fold = np.random.default_rng(number).permutation(cluster.max() + 1) % 5
    counted = np.bincount(cluster)[cluster] >= 5
    for prior in PRIORS:
        mean, spread = np.zeros(len(data)), np.zeros(len(data))
        for k in range(5):
            test = fold[cluster] == k
            assert_no_leak(data.groups[~test], data.groups[test])
            parts = BNNRegressor(prior=prior, random_state=number).fit(X[~test], data.y[~test]).predict_parts(X[test])
            mean[test], spread[test] = parts["mean"], parts["epistemic"]
        scores = panel.era_scores(mean[counted], data.y[counted], cluster[counted])
        era_spread = pd.Series(spread[counted]).groupby(cluster[counted]).mean()
        yield {
            "arm": f"BNN {prior}",
            "correlation": scores.mean(),
            "n_clusters": len(scores),
            "n_too_small": int(cluster.max() + 1 - len(scores)),
            "n_burn": int((scores < 0).sum()),
            "auc": auc(spread[counted], cluster[counted], (scores < 0).to_numpy()),
            "rank_correlation_spread_score": scores.rank().corr(era_spread.rank()),
        }


# --- stage targets: the four models of several targets (D5) ---------------------------------------------------------
def targets(region: str, number: int, model: str) -> Iterator[dict]:
    """Fit one model of several targets under each prior."""
    train, valid = draw(region, number)
    kind, names = TARGETS[model]
    for prior in PRIORS if number == 0 else ("uniform",):
        network = bayes(prior, 0, kind).fit(train.X, train.targets[list(names)])
        row = posterior_row(network.sample_functions(valid.X, SAMPLES // 10), valid)
        weights = network.guide_.location
        chain = float(weights["chain"].detach()) if "chain" in weights else np.nan
        yield {"seed": 0, "arm": prior, **row, "chain": chain}


# --- stage depth (D7) -----------------------------------------------------------------------------------------------
def depth(region: str, number: int, model: str) -> Iterator[dict]:
    """Fit the baseline with fewer layers and ten seeds, or the Bayesian networks with one."""
    train, valid = draw(region, number)
    hidden = HIDDEN[: int(model[-1])]
    if model.startswith("baseline"):
        for seed in range(SEEDS):
            network = panel.EraNetwork(hidden, random_state=seed).fit(train.X, train.targets[MAIN])
            yield {"seed": seed, "arm": "baseline", **point_row(network.predict(valid.X), valid)}
        return
    for prior in PRIORS:
        network = bayes(prior, 0, hidden=hidden).fit(train.X, train.targets[MAIN])
        row = posterior_row(network.sample_functions(valid.X, SAMPLES // 10), valid)
        yield {"seed": 0, "arm": f"BNN {prior}", **row}


# --- stage priors: priors as penalties (D6) -------------------------------------------------------------------------
def priors(region: str, number: int, model: str) -> Iterator[dict]:
    """Compare the most probable weights with those of the penalised fit, on one simulated regression."""
    rng = np.random.default_rng(number)
    n, p, noise, scale = 100, 8, 0.7, 0.3
    X = rng.normal(size=(n, p)) + 0.5 * rng.normal(size=(n, 1))
    y = X @ (rng.normal(scale=0.4, size=p) * (rng.random(p) < 0.6)) + noise * rng.normal(size=n)
    penalised = {
        "normal": Ridge(alpha=(noise / scale) ** 2, fit_intercept=False),
        "laplace": Lasso(np.sqrt(2) * noise**2 / (scale * n), fit_intercept=False, tol=1e-10, max_iter=10**6),
        "uniform": LinearRegression(fit_intercept=False),
    }[model]
    expected = penalised.fit(X, y).coef_
    found = panel.map_weights(X, y, prior=model, prior_scale=scale, noise=noise)
    yield {"arm": model, "relative_difference": np.abs(found - expected).max() / np.abs(expected).max()}


# --- the run --------------------------------------------------------------------------------------------------------
def tasks(numbers: range, models: tuple[str, ...]) -> tuple[tuple[str, int, str], ...]:
    """Panel by panel over all regions, so that every region advances."""
    return tuple((region, number, model) for number in numbers for region in REGIONS for model in models)


BAYESIAN = tuple(f"BNN {prior}" for prior in PRIORS)
RUN = FullRun(
    "panel",
    ("region", "panel", "model"),
    {
        "priors": Stage(priors, tuple(("regressions", number, prior) for number in range(10) for prior in PRIORS)),
        "study": Stage(study, tasks(range(STUDIED), ("baseline", *BAYESIAN, "starter", "baseline slow"))),
        "burn": Stage(burn, tasks(range(STUDIED, PANELS), PRIORS)),
        "depth": Stage(
            depth,
            tasks(range(STUDIED), tuple(f"baseline depth {n}" for n in range(3)))
            + tasks(range(1), tuple(f"BNN depth {n}" for n in range(3))),
        ),
        "targets": Stage(targets, tasks(range(STUDIED), tuple(TARGETS))),
        "steps": Stage(study, tasks(range(1), ("BNN slow uniform", "BNN long normal"))),
        "molecules": Stage(molecules, tuple(("molecules", number, name) for number in range(2) for name in MOLECULES)),
    },
)


# --- verdicts -------------------------------------------------------------------------------------------------------
UNIT = ["region", "panel"]
HONEST = ("baseline", *BAYESIAN, "starter")  # the study's models whose score chose nothing


def mean_scores(table: pd.DataFrame, column: str = "correlation") -> pd.DataFrame:
    """Mean over seeds, one row a panel, one column an arm."""
    return table.pivot_table(index=UNIT, columns="arm", values=column, aggfunc="mean")


def d1(study: pd.DataFrame) -> pd.Series:
    """Divide the spread of the baseline over seeds by the median difference of two models."""
    seeds = study[study["arm"] == "baseline"].groupby(UNIT)["correlation"].std()
    means = mean_scores(study)[list(HONEST)]
    pairs = [(means[a] - means[b]).abs() for a, b in itertools.combinations(HONEST, 2)]
    return seeds / pd.concat(pairs, axis=1).median(axis=1)


def d2(study: pd.DataFrame) -> pd.Series:
    """Take the samples' mean score from the ensemble's, where all 1 000 samples were scored."""
    whole = study[(study["arm"] == "BNN normal") & (study["n_samples"] == SAMPLES)].set_index(UNIT)
    return whole["correlation"] - whole["samples_correlation"]


def d3(study: pd.DataFrame) -> pd.Series:
    """Take the baseline from the network with the study's best prior, at the same learning rate."""
    means = mean_scores(study)
    return means["BNN uniform"] - means["baseline"]


def d4(study: pd.DataFrame, burn: pd.DataFrame) -> pd.Series:
    """Give the best prior's area less one half; a panel in which all eras burn, or none, is left out."""
    first = study[study["arm"].isin(BAYESIAN) & (study["seed"] == 0)]
    areas = mean_scores(pd.concat([first, burn]), "auc")
    return areas[areas.mean().idxmax()].dropna() - 0.5


def d4_molecules(table: pd.DataFrame) -> pd.Series:
    """Give the same for each molecular set, over its clusterings."""
    areas = table.pivot_table(index="model", columns="arm", values="auc")
    return areas[areas.mean().idxmax()].dropna() - 0.5


def d5(study: pd.DataFrame, targets: pd.DataFrame) -> pd.Series:
    """Give the smaller part: no gain in correlation, and a gain in Sharpe ratio from 60 days (uniform prior)."""
    single = study[(study["arm"] == "BNN uniform") & (study["seed"] == 0)].set_index(UNIT)
    joint = targets[targets["arm"] == "uniform"]
    correlation = joint.pivot_table(index=UNIT, columns="model", values="correlation")
    ratio = joint.pivot_table(index=UNIT, columns="model", values="sharpe")[list(WITH_60)]
    gain = correlation[correlation.mean().idxmax()] - single["correlation"]
    longer = ratio[ratio.mean().idxmax()] - single["sharpe"]
    return np.minimum((0.001 - gain) / 0.001, (longer - 0.05) / 0.05)


def d6(priors: pd.DataFrame) -> pd.Series:
    """Give the largest of the three differences."""
    return priors.groupby(UNIT)["relative_difference"].max()


def d7(study: pd.DataFrame, depth: pd.DataFrame) -> pd.Series:
    """Take the best shallower baseline from the deepest."""
    shallow = depth[depth["arm"] == "baseline"].pivot_table(index=UNIT, columns="model", values="correlation")
    return mean_scores(study)["baseline"] - shallow[shallow.mean().idxmax()]


def primaries() -> list[tuple[str, str, pd.Series]]:
    """Compute the endpoints of the claims whose stages are complete: claim, region ("" for all), one value a unit."""
    table = {stage: RUN.read(stage) for stage in RUN.stages}
    done = {stage for stage in RUN.stages if RUN.complete(stage)}
    found = []
    if "study" in done:
        found += [("D1", "", d1(table["study"])), ("D2", "", d2(table["study"])), ("D3", "", d3(table["study"]))]
    if {"study", "burn"} <= done:
        areas = d4(table["study"], table["burn"])
        found += [("D4", region, part) for region, part in areas.groupby("region", sort=False)]
    if "molecules" in done:
        found.append(("D4", "molecules", d4_molecules(table["molecules"])))
    if {"study", "targets"} <= done:
        found.append(("D5", "", d5(table["study"], table["targets"])))
    if "priors" in done:
        found.append(("D6", "", d6(table["priors"])))
    if {"study", "depth"} <= done:
        found.append(("D7", "", d7(table["study"], table["depth"])))
    return [(claim, region, values) for claim, region, values in found if len(values) >= 2]


def verdicts(found: list[tuple[str, str, pd.Series]]) -> pd.DataFrame:
    """Decide each claim, D4 region by region; Holm's correction is over all of them, run or not."""
    rules, n_tests = load_claims(), len(CLAIMS) - 1 + len(REGIONS) + 1
    made = [
        decide(values.to_numpy(), margin=rules[claim].margin, direction=rules[claim].direction)
        for claim, _, values in found
    ]
    corrected = holm([d.p for d in made] + [1.0] * (n_tests - len(made)))
    today, versions = datetime.date.today().isoformat(), " ".join(f"{name} {version(name)}" for name in PACKAGES)
    rows = []
    for (claim, region, _), d, p in zip(found, made, corrected, strict=False):
        verdict = verdict_of(d.estimate, float(p), d.margin, d.direction)
        figures = (d.estimate, d.low, d.high, d.se, d.df, d.n_units, d.p, p, d.margin, d.direction, verdict)
        rows.append((claim, rules[claim].endpoint, *figures, today, versions, region))
    return pd.DataFrame(rows, columns=[*RESULT_COLUMNS, "region"])


# --- the study's tables beside its figures --------------------------------------------------------------------------
def ours(tables: dict[str, pd.DataFrame]) -> Iterator[tuple[str, str, str, str, pd.Series]]:
    """Give table, model, prior, measure as the published figures have them, and one value a panel."""
    study, depth, several = tables["study"], tables["depth"], tables["targets"]
    arms = {"baseline": ("baseline", ""), "baseline, best epoch": ("best epoch", ""), "starter": ("starter", "")}
    arms |= {f"BNN {prior}": ("BNN", prior) for prior in PRIORS}
    columns = {
        ("samples", "correlation"): "samples_correlation",
        ("samples", "correlation_sd"): "samples_correlation_sd",
        ("samples", "sharpe"): "samples_sharpe",
        ("samples", "sharpe_sd"): "samples_sharpe_sd",
        ("burn", "auc"): "auc_measured",
        ("burn", "n_burn"): "n_burn_measured",
    }
    for arm, (model, prior) in arms.items():
        part = study[study["arm"] == arm].groupby(UNIT)
        for measure in ("correlation", "sharpe"):
            yield "ensemble", model, prior, measure, part[measure].mean()
            if arm == "baseline" or prior:
                yield "depth", f"{model} depth 3", prior, measure, part[measure].mean()
        for (name, measure), column in columns.items() if prior else ():
            yield name, model, prior, measure, part[column].mean()
    for (model, prior), part in several.groupby(["model", "arm"]):
        for measure in ("correlation", "sharpe"):
            yield "targets", model, prior, measure, part.groupby(UNIT)[measure].mean()
    for (model, arm), part in depth.groupby(["model", "arm"]):
        for measure in ("correlation", "sharpe"):
            prior = arm.removeprefix("baseline").removeprefix("BNN ")
            yield "depth", model, prior, measure, part.groupby(UNIT)[measure].mean()
    uniform = pd.concat([study[study["seed"] == 0].assign(model="BNN depth 3"), depth])
    uniform = uniform[uniform["arm"] == "BNN uniform"]
    for one, other in itertools.combinations(range(4), 2):
        pair = [uniform[uniform["model"] == f"BNN depth {n}"].set_index(UNIT) for n in (one, other)]
        pair = [part[["samples_correlation", "samples_correlation_sd"]] for part in pair]
        both = pair[0].join(pair[1], how="inner", lsuffix="_p", rsuffix="_q")
        for measure, function in (("js", panel.jensen_shannon), ("symmetric_kl", panel.symmetric_kl)):
            values = [function(*row) for row in both.itertuples(index=False)]
            yield "divergence", f"depths {one} and {other}", "", measure, pd.Series(values, both.index, dtype=float)


def compared() -> pd.DataFrame:
    """Put our mean over panels, with its interval, beside each published figure."""
    keys = ["table", "model", "prior", "measure"]
    rows = []
    for *names, values in ours({stage: RUN.read(stage) for stage in RUN.stages}):
        if len(values.dropna()) >= 2:
            interval = evaluate.t_interval(values.dropna().to_numpy())
            rows.append((*names, interval.estimate, interval.low, interval.high, len(values.dropna())))
    table = pd.DataFrame(rows, columns=[*keys, "estimate", "low", "high", "n_panels"])
    theirs = panel.published().rename(columns={"value": "published"})
    return theirs.merge(table, on=keys, how="outer", sort=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stages", nargs="+", choices=list(RUN.stages), default=list(RUN.stages))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--summary", action="store_true", help="verdicts only")
    options = parser.parse_args()
    if not options.summary:
        RUN.run(options.stages, options.jobs)
    found = primaries()
    if found:
        parts = [values.rename("estimate").reset_index().assign(claim=claim) for claim, _, values in found]
        RUN.write("claim_parts", pd.concat(parts, ignore_index=True))
        table = verdicts(found)
        RUN.write("claims", table)
        print(table.drop(columns="versions").to_string(index=False))
    if all(RUN.complete(stage) for stage in ("study", "depth", "targets")):
        RUN.write("compared", compared())
    RUN.about(PACKAGES, regions=REGIONS, training_eras=N_TRAIN, validation_eras=N_VALID, rows=N_ROWS, bayes=BAYES)


torch.set_num_threads(1)

if __name__ == "__main__":
    import reproduce_panel  # by its name, so that worker processes can import what they are sent

    reproduce_panel.main()
