# %% [markdown]
# # 08 Generalisation and data size
#
# How good is a model for molecules that are new, and how new is "new"? How many molecules does it take? You will split one
# data set in five ways, draw learning curves, and find the line of code behind a well-known rule about small data.

# %% [markdown]
# > **In this lesson**
# > - **Objectives:** choose a split by what will be new when the model is used; say when scaffolds cannot split a set;
# >   compare scores of different splits without being misled by the yardstick of R2; check whether a model notices that
# >   molecules are strange to it; read a learning curve, and see whether the model or the program failed to learn; find
# >   test molecules in a training set
# > - **Prerequisites:** lessons 04 and 05; R2, a Gaussian process, coverage and the miscalibration area
# > - **Teaching:** 43 min
# > - **Exercises:** 17 min
# > - **Claims:** C8
# > - **Recap:** Lesson 04 met models that state a mean and a standard deviation for each molecule. Lesson 05 asked whether
# >   the stated widths are true, on test molecules drawn in the same way as the training molecules. Here we draw them
# >   differently.
# > - **Run time:** FAST within 60 s and 1 GB (120 s with an empty cache); FULL (make reproduce) hours

# %%
import os
import warnings
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist

from course_lib import evaluate, plots, plots_uncertainty
from course_lib.datasets import load
from course_lib.evaluate import bootstrap_interval, perfect_reference
from course_lib.featurize import Descriptors, mordred2d, morgan
from course_lib.models import DeepEnsembleRegressor, GPRegressor, NGBoostRegressor
from course_lib.models.baselines import mean, ridge_counts
from course_lib.results import full_run, with_skill
from course_lib.settings import progress
from course_lib.splits import (
    ClusterKFold,
    GroupKFold,
    GroupShuffleSplit,
    LeakError,
    ScaffoldKFold,
    assert_no_leak,
    cluster_labels,
    scaffold,
)
from course_lib.teaching import check, claim, fast, interactive, quiz, show_prediction
from course_lib.teaching.tables import print_table

N_MOLECULES = 650 if fast() else 1054  # 650: four fifths of them are above 500 (section 5)
N_SHIFT = 400 if fast() else 1054  # molecules that are split in five ways
N_DRAWS = 2 if fast() else 10  # how often the training molecules are drawn anew
# FAST starts the GP's search once. Its NGBoost takes few, long steps and two inner folds, which
# costs some accuracy: see the full run for the real one.
GP = {"n_restarts": 0} if fast() else {}
NGBOOST = {"n_folds": 2, "n_estimators": 25, "learning_rate": 0.2} if fast() else {}

# %% [markdown]
# ## 1 New in what way?
#
# "R2 = 0.8 on new molecules", says a paper. New in what way? Chemists ask for different things:
#
# - *another molecule of the kind I have*: a **random** split of the molecules will tell;
# - *another ring system*: a **scaffold** split. The scaffold of a molecule is its rings and the chains that link them
#   (Bemis and Murcko). Whole scaffolds go to one side;
# - *another family*: a **cluster** split. Molecules with similar descriptors form clusters, and whole clusters go to one
#   side;
# - *another family, with other values*: a cluster split by **structure and target** together, in the spirit of the
#   lecture's "cluster sampling";
# - *a family that I have never touched*: **leave one cluster out**, with a few large clusters;
# - *a later molecule*: train on the past, test on what came later (a **time** split). It comes nearest to the daily use of a
#   project. Our table has no dates, so we cannot show it.
#
# Our molecules have a measured heat of sublimation, as in lesson 05. Each of the first five splits is one line.


# %% tags=["nbval-check-output"]
def one_a_molecule(data):
    """Keep one row for each different molecule."""
    return data.subset(np.sort(np.unique(data.groups, return_index=True)[1]))


data = one_a_molecule(load("sublimation"))
data = data.subset(np.random.default_rng(0).permutation(len(data))[:N_MOLECULES])
y, bits = data.y, morgan(data.smiles).to_numpy(dtype=float)
table = mordred2d(data.smiles)
# As in lesson 03, Mordred's autocorrelations stay out, to save time. No value is looked at.
X = table.loc[:, ~table.columns.str.match(r"A?ATSC?\d|[MG]ATS\d")].to_numpy()

few = slice(0, N_SHIFT)  # sections 1, 3 and 4 split these
smiles, groups = data.smiles[few], data.groups[few]
splitters = {
    "random": GroupKFold(3, shuffle=True, random_state=0),
    "scaffold": ScaffoldKFold(smiles, 3, random_state=0),
    "cluster": ClusterKFold(X[few], n_splits=3, random_state=0),
    "cluster with target": ClusterKFold(X[few], y[few], n_splits=3, random_state=0),
    "leave one cluster out": ClusterKFold(X[few], n_splits=10, n_clusters=10, random_state=0),
}
KINDS = {kind: list(s.split(smiles, groups=groups)) for kind, s in splitters.items()}
print(f"{len(data)} molecules, {len(smiles)} of them to split; {data.units}")
for kind, folds in KINDS.items():
    print(f"{kind:22} test molecules in each fold: {[len(test) for _, test in folds]}")


# %% [markdown]
# How new is a test molecule? Compare it with all training molecules and keep the most similar one. Two molecules are
# compared by their **Tanimoto similarity**, the fingerprint bits that both have as a share of those that either has: 1
# for the same bits, 0 for none in common.
#
# > **Predict first.** Which of the five splits puts its test molecules furthest from the training molecules?

# %% tags=["predict"]
my_prediction = ...  # a name, such as "scaffold"


# %% tags=["nbval-check-output"]
def tanimoto(A, B):
    """Similarity of each row of A to each row of B; bits, shapes (n, p) and (m, p)."""
    common = A @ B.T
    return common / (A.sum(axis=1)[:, None] + B.sum(axis=1) - common)


similar = {}
for kind, folds in KINDS.items():
    similar[kind] = np.empty(len(smiles))
    for train, test in folds:
        similar[kind][test] = tanimoto(bits[test], bits[train]).max(axis=1)
print("similarity to the nearest training molecule")
shown = pd.DataFrame(similar).quantile([0.1, 0.5, 0.9]).T
shown.columns = ["lowest tenth", "median", "highest tenth"]
show_prediction(my_prediction, shown["median"].idxmin())
print_table(shown, "{:.2f}")
# the same question in descriptors, from which the clusters are made: scaled columns, no gaps
scaled = np.asarray(Descriptors().fit_transform(X[few]))
print("distance to the nearest training molecule in scaled descriptors, median")
for kind, folds in KINDS.items():
    far = [cdist(scaled[test], scaled[train]).min(axis=1) for train, test in folds]
    print(f"    {kind:22} {np.median(np.concatenate(far)):.1f}")

# %%
ax = plots.score_distribution(
    similar,
    xlabel="Tanimoto similarity to the nearest training molecule",
    title="How new is a test molecule?",
)

# %% [markdown]
# **Figure:** one point a test molecule: its Tanimoto similarity to the most similar training molecule, under each of the
# five kinds of splits, with median and quartiles. The cloud of the random split lies furthest to the right, that of the
# scaffold split furthest to the left; the three clouds of cluster splits lie between them. (At 1 lie molecules with the
# same bits, which need not be the same molecule: bits do not count, as lesson 04 found.)
#
# The name of a split does not say how far its test lies away. Measure it, and say by which yardstick. In fingerprint bits
# the scaffold split is the furthest. In descriptors, from which the clusters were made, leaving one cluster out is, and the
# scaffold split lies level with the cluster split. Choose the yardstick that your model sees.
#
# A number is not a molecule. Here is the test molecule that stands in the middle of each cloud, with its nearest one.


# %%
def middle_pair(kind):
    """The test molecule of median similarity and the training molecule nearest to it."""
    place = np.argsort(similar[kind], kind="stable")[len(smiles) // 2]
    train = next(train for train, test in KINDS[kind] if place in test)
    return place, train[tanimoto(bits[[place]], bits[train]).argmax()]


pairs = {kind: middle_pair(kind) for kind in ("random", "scaffold", "cluster")}
ax = plots.molecules(
    [smiles[place] for pair in pairs.values() for place in pair],
    [
        f"{kind}: {what}"
        for kind in pairs
        for what in ("test", f"nearest ({similar[kind][pairs[kind][0]]:.2f})")
    ],
    columns=2,
    title="A test molecule of median similarity, and the training molecule nearest to it",
)

# %% [markdown]
# **Figure:** three pairs of structural formulas, from the top for the random, the scaffold and the cluster split: left a
# test molecule that stands in the middle of its cloud, right the training molecule most similar to it, with their
# similarity.

# %% [markdown]
# ## 2 When scaffolds cannot split
#
# Scaffold splits are a habit of drug research, where molecules have rings. A molecule without a ring has no scaffold, and
# all of them together share the empty one. Count before you split.
#
# > **Predict first.** In how many of these four sets do more than half of the molecules have no ring: heats of
# > sublimation, flash points, octane numbers, permittivities?

# %% tags=["predict"]
my_prediction = ...  # data sets

# %% tags=["nbval-check-output"]
BENZENE = scaffold("c1ccccc1C")  # of all molecules whose only ring is benzene
rows, said = {}, {}
for name in ("sublimation", "flammable", "octane", "permittivity"):
    one = one_a_molecule(load(name))
    without = np.mean([scaffold(text) == "" for text in one.smiles])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        folds = list(ScaffoldKFold(one.smiles, 5).split(one.smiles, groups=one.groups))
    said[name] = [str(warning.message) for warning in caught]
    rows[name] = {
        "molecules": len(one),
        "without": without,
        "no scaffold": f"{without:.0%}",
        "benzene only": f"{np.mean([scaffold(text) == BENZENE for text in one.smiles]):.0%}",
        "five scaffold folds": str([len(test) for _, test in folds]),
    }
counts = pd.DataFrame(rows).T
show_prediction(my_prediction, int((counts.pop("without") > 0.5).sum()), units="data sets")
print_table(counts)
print("\nthe splitter on octane:", fill(said["octane"][0], 70, subsequent_indent=" " * 24))

# %% [markdown]
# Look at the folds of the octane numbers. One fold is as large as the share without a ring, and the other four share the
# rest. "Five-fold" is then one experiment, *train on rings and test on chains*, and four small ones. (The splitter warns
# from 30 % on; that is a rule of thumb.)
#
# Now look at the heats of sublimation. Few have no ring, and still one fold is the largest: all molecules whose only ring
# is benzene share one scaffold. A scaffold split is then in part *train without plain benzenes, test on them*.
#
# Clusters of fingerprints can split chains too, though not always evenly:

# %% tags=["nbval-check-output"]
for name in ("octane", "permittivity"):
    one = one_a_molecule(load(name))
    by_fragments = ClusterKFold(morgan(one.smiles), n_splits=5, random_state=0)
    folds = by_fragments.split(one.smiles, groups=one.groups)
    print(f"{name:13} five folds of fingerprint clusters: {[len(test) for _, test in folds]}")

# %% [markdown]
# The folds of the octane numbers are still uneven. One cluster of small open-chain molecules stays whole: alkanes, alkenes,
# alcohols, some ketones and ethers. They set few bits, so the algorithm finds little that parts them. "In one cluster" need
# not mean "alike": look at the members. And no split that keeps such a cluster whole can make even folds.

# %% [markdown]
# ## 3 What the scores become
#
# Four models: the **mean** of the training values; **ridge** on molecular weight and counts of atoms, which you could
# work out by hand; a Gaussian process (**GP**) and **NGBoost**, both on Mordred's descriptors. (To save time, NGBoost takes
# few steps in this lesson, which makes it less accurate. Judge it by the full run only.) Each predicts every molecule once,
# by a model that has not seen its fold.
#
# > **Predict first.** By how much will the GP's R2 be lower when whole clusters are new, compared with a random split?

# %% tags=["predict"]
my_prediction = ...  # R2 lost

# %%
FEATURES = {"mean": data.smiles, "ridge": data.smiles, "GP": X, "NGBoost": X, "network": X}


def model_of(name, seed=0):
    """A fresh model of this name."""
    return {
        "mean": mean(),
        "ridge": ridge_counts(),
        "GP": GPRegressor(**GP, random_state=seed),
        "NGBoost": NGBoostRegressor(**NGBOOST, random_state=seed),
        "network": DeepEnsembleRegressor(1, random_state=seed),  # for section 5
    }[name]


def fit_predict(name, train, test, seed=0):
    """Mean and standard deviation for the test molecules (NaN where a model has none)."""
    assert_no_leak(data.groups[train], data.groups[test])
    fitted = model_of(name, seed).fit(FEATURES[name][train], y[train])
    if name in ("mean", "ridge"):
        return fitted.predict(FEATURES[name][test]), np.full(len(test), np.nan)
    return fitted.predict(FEATURES[name][test], return_std=True)


def out_of_fold(name, folds, n=None):
    """Predict each molecule once, by a model of (at most n of) the molecules of other folds."""
    found = np.empty((2, len(smiles)))
    for number, (train, test) in enumerate(folds):
        if n is not None:
            train = np.random.default_rng(number).permutation(train)[:n]
        found[:, test] = fit_predict(name, train, test)
    return found


FOR_NGBOOST = ("random", "cluster")  # two are enough for the slowest of the four
predicted = {}
for kind, folds in progress(KINDS.items(), "kinds of splits"):
    for name in ("mean", "ridge", "GP", "NGBoost"):
        if name != "NGBoost" or kind in FOR_NGBOOST:
            predicted[kind, name] = out_of_fold(name, folds)

# %% [markdown]
# An interval asks: what if we had drawn other molecules? Molecules of one family share their errors, so we resample whole
# **clusters** of similar molecules, not single ones. (The same clusters for all splits; the models and the folds stay as
# they are. Another division into folds would move the scores too, and that is not in the interval.)


# %% tags=["nbval-check-output"]
def lost(y, here, there):
    return evaluate.r2(y, there) - evaluate.r2(y, here)


def short(interval):
    return f"{interval.estimate:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


family = cluster_labels(X[few], random_state=0)
scores, losses = {}, {}
for (kind, name), (given, _) in predicted.items():
    scores.setdefault(name, {})[kind] = evaluate.r2(y[few], given)
    if name != "mean" and kind != "random":
        pair = given, predicted["random", name][0]
        interval = bootstrap_interval(lost, y[few], *pair, groups=family, n_boot=300)
        losses.setdefault(name, {})[kind] = short(interval)
show_prediction(my_prediction, scores["GP"]["random"] - scores["GP"]["cluster"])
print(f"R2 over all {len(smiles)} molecules")
print(pd.DataFrame(scores).map("{:.2f}".format).replace("nan", "-").to_string())
errors = {}
for (kind, name), (given, _) in predicted.items():
    errors.setdefault(name, {})[kind] = evaluate.mae(y[few], given)
print(
    f"\nmean absolute error, {data.units}; standard deviation of the values {y[few].std():.0f}"
)
print(pd.DataFrame(errors).map("{:.1f}".format).replace("nan", "-").to_string())
print(f"\nR2 lost against the random split, 95 % intervals over {len(set(family))} clusters")
print(pd.DataFrame(losses).fillna("-").to_string())

# %% [markdown]
# Every model that had learned something falls. Ridge, which sees only the weight and the counts of atoms, has a lower R2
# than the mean under three of the five, but a larger MAE under one only: R2 counts squares, so a few large misses can
# decide it. (The last line trains on more molecules than the others: all but one cluster.) Which line is the honest
# one? The one that imitates the use. To fill gaps in a family that you have measured, that is the random split.
#
# ### The yardstick moves, too
# $R^2$ compares a model's squared error with the spread of the *test* values about *their own* mean. Where the values of a
# cluster are alike, the same root mean squared error (RMSE) in kJ/mol gives a lower $R^2$. And nobody who predicts a new family knows its mean. What
# one has is the mean of the **training** values.
#
# ### Exercise 8.1: skill against what one would have said
# Write the function that returns 1 minus the ratio of two mean squared errors on the test molecules: that of the
# predictions, and that of always saying the mean of the training values.


# %% tags=["exercise"]
def skill(y_test, predicted_test, y_train): ...


# %%
check("8.1", skill)


# %% tags=["solution"]
# Solution 8.1 (unfold me when you have tried)
def skill_solution(y_test, predicted_test, y_train):
    said_before = np.mean((y_test - np.mean(y_train)) ** 2)
    return 1 - np.mean((y_test - predicted_test) ** 2) / said_before


check("8.1", skill_solution)

# %% [markdown]
# Each cluster that was left out, with both yardsticks and with the error itself. (`evaluate.r2` is the usual one.)

# %% tags=["nbval-check-output"]
given, rows = predicted["leave one cluster out", "GP"][0], []
for train, test in KINDS["leave one cluster out"]:
    if len(test) < 10:  # a score of so few molecules says nothing
        print(f"left aside: a cluster of {len(test)}")
        continue
    rows.append({
        "molecules": str(len(test)),
        "similarity": np.median(similar["leave one cluster out"][test]),
        f"spread ({data.units})": y[test].std(),
        f"MAE ({data.units})": evaluate.mae(y[test], given[test]),
        f"RMSE ({data.units})": evaluate.rmse(y[test], given[test]),
        "R2": evaluate.r2(y[test], given[test]),
        "skill": skill_solution(y[test], given[test], y[train]),
    })  # fmt: skip
by_cluster = pd.DataFrame(rows).sort_values("R2")
print_table(by_cluster, "{:.2g}", index=False)
print(
    f"\nmean of the clusters' R2 {by_cluster['R2'].mean():.2f}, "
    f"all molecules together {evaluate.r2(y[few], given):.2f}"
)

# %% [markdown]
# The same predictions, three verdicts. Compare the clusters of 29 and of 16 molecules. The MAE is the same, the RMSE
# nearly. R2 is far lower in the first, whose values lie closer together; skill turns the order round. Now the top
# row. It has the largest error, and R2 says so. Skill still looks decent, as a training mean that is far away is easy
# to beat. And its molecules are the most *similar* to the training set: long chains, whose bits repeat while their
# heats grow. No single yardstick is enough. Say over which molecules R2 was taken, and print the error in the
# property's own unit.
#
# ### The full run
# It has five folds of each kind but the last, which has ten, four data sets, and all models of the study. Errors as
# multiples of those under random splits. (Leaving one cluster out trains on more molecules, and skips clusters of fewer than
# ten. The line `similarity` is no multiple: it is the similarity to the nearest training molecule, the mean of the folds'
# medians. BNN is a Bayesian neural network, SNGP a network whose last layer is like a GP, GNN-GP a graph network with a GP on
# top, MLP a plain network.)


# %% tags=["nbval-check-output"]
# short names for narrow tables
SHORT = {"random forest": "forest", "deep ensemble": "ensemble", " mordred": "", " graph": ""}


def full(name):
    """A table of the full run with its measure of skill, or None as long as there is none."""
    found = with_skill(full_run(name, required=False))
    return found if found is None else found.replace({"cell": SHORT}, regex=True)


shifts = full("dionysus_shifts")
if shifts is not None:
    for name, part in shifts.groupby("set", sort=False):
        error = "rmse" if part["r2"].notna().any() else "log_loss"
        power = 2 if error == "rmse" else 1  # over all molecules: each fold by its size
        sums = part.assign(total=part[error] ** power * part["n_test"])
        sums = sums.groupby(["by", "cell"])[["total", "n_test"]].sum()
        by_kind = (sums["total"] / sums["n_test"]) ** (1 / power)
        by_kind = by_kind.unstack("cell").loc[list(KINDS)]
        by_kind = by_kind / by_kind.loc["random"]
        by_kind.insert(0, "similarity", part.groupby("by")["similarity"].mean())
        print(f"{name}: {error} as a multiple of that under random splits")
        print_table(by_kind.T, "{:.2f}")

# %% [markdown]
# Read the tables by rows: nearly every model loses under nearly every split. (On the flammable liquids some lose
# nothing under the cluster split.) The mean, which has nothing to lose, moves least; ridge mostly less than the
# others. Among the others the order changes from set to set. Then by columns: which split is the hardest differs,
# too. On permittivity it is the scaffold split, for every model but the mean and ridge. There two thirds of the
# molecules have no ring and lie in one fold, so most of that score is chains predicted from rings. On the flammable
# liquids a cluster split is hardly harder than a random one, and a scaffold split is. So a factor belongs to a set
# and a split. Do not carry it over to yours: measure it.

# %% [markdown]
# ## 4 Does the model notice?
#
# A model that fails on strange molecules **and says so** is worth having. Such a model states larger widths under the
# harder splits. Compare the width that it states (its root mean variance) with the one that it needs (its root mean
# squared error), and look at the coverage of its 95 % intervals and the miscalibration area of lesson 05.

# %% tags=["nbval-check-output"]
rows = {}
for (kind, name), (given, std) in predicted.items():
    if name in ("GP", "NGBoost"):
        rows[name, kind] = {
            f"stated ({data.units})": evaluate.sharpness(std),
            f"needed ({data.units})": evaluate.rmse(y[few], given),
            "coverage 95 %": evaluate.coverage(y[few], given, std),
            "area": evaluate.miscalibration_area(y[few], given, std),
        }
honesty = pd.DataFrame(rows).T.sort_index(level=0, sort_remaining=False)
print_table(honesty, "{:.3g}")
areas = perfect_reference(evaluate.miscalibration_area, n=len(smiles))
held = np.quantile(perfect_reference(evaluate.coverage, n=len(smiles)), [0.05, 0.95])
print("a model that tells the truth, in nine of ten cases: coverage", end=" ")
print(f"{held[0]:.3f} to {held[1]:.3f};")
print(f"area mostly below {np.quantile(areas, 0.95):.3f}")

# %% [markdown]
# The GP's widths come from distances in descriptors, so they grow under the scaffold and the cluster split, though by less
# than the errors do. The GP was a little too wide under the random split, and so it ends about right. NGBoost has no such
# distance: compare what it states and what it needs under its two splits. And look at the split by structure *and
# target*: there the GP needs as much as under the scaffold split and states less. A shift in the **values** shows only in
# part in the structures, and structures are all that a model is given of a test molecule.
#
# An average may be right while the strangest molecules are not. So look at near and far molecules apart:

# %%
inside = {
    name: np.abs(y[few] - given) <= 1.96 * std
    for name in ("GP", "NGBoost")
    for given, std in [predicted["cluster", name]]
}
ax = plots_uncertainty.coverage_by_distance(
    1 - similar["cluster"],
    inside,
    level=0.95,
    n_bins=5,
    xlabel="distance to the nearest training molecule (1 - Tanimoto)",
    title="Coverage under the cluster split, near and far",
)

# %% [markdown]
# **Figure:** coverage of the 95 % intervals of both models in five groups of molecules under the cluster split, from near
# to far from the training molecules, with a dashed line at 0.95 and a grey range for a model that keeps its level. Both
# lines stay inside the grey range, near and far. With few molecules a group that range is wide, so this is no proof. (The
# distance is in bits here; the GP's own is in descriptors.)

# %% tags=["nbval-check-output"]
if shifts is None:
    print("full run: not there yet; coverage and area of the other models will stand here")
else:
    regression = shifts[shifts["ama"].notna()]
    # the mean area of a model that tells the truth, by the formula of lesson 05
    regression = regression.assign(perfect=np.sqrt(np.pi / (32 * regression["n_test"])))

    def over_sets(measure, by):
        """Mean over the molecules of each set (a fold counts by its size), then over sets."""
        sums = regression.assign(total=regression[measure] * regression["n_test"])
        sums = sums.groupby([by, "by", "set"], sort=False)[["total", "n_test"]].sum()
        means = (sums["total"] / sums["n_test"]).groupby(level=[0, 1], sort=False).mean()
        return means.unstack("by")[list(KINDS)]

    covered, area = over_sets("coverage95", "cell"), over_sets("ama", "cell")
    area.loc["tells truth"] = over_sets("perfect", "cell").mean()
    print("coverage of 95 % intervals, mean of the sets")
    print_table(covered, "{:.2f}")
    print("miscalibration area, mean of the sets")
    print_table(area, "{:.3f}")
    print("mean squared z, median over sets and folds")
    z2 = regression.pivot_table(
        index="cell", columns="by", values="mean_z2", aggfunc="median", sort=False
    )
    print_table(z2[list(KINDS)], "{:.2f}")

# %% [markdown]
# Under scaffolds every model but GNN-GP covers less, and under clusters with target all do; SNGP has the lowest
# coverage there. Yet the area becomes *smaller* for most of them, though it stays above that of a model that tells
# the truth (last row). That is what one would expect where widths were too large before: under random splits the mean
# squared z of most is below 1, so larger errors bring the middle of the curve to the line while the far misses at 95
# % become more. An area that improves under a shift is no comfort: look at the coverage too.

# %% [markdown]
# Now move both at once, the kind of split and the number of training molecules. Where is the GP wrong, and where do its
# intervals not say so?

# %% tags=["nbval-check-output"]
kinds = [kind for kind, folds in KINDS.items() if len(folds) == 3]
grown = {(kind, n): out_of_fold("GP", KINDS[kind], n) for kind in kinds for n in (25, 100)}
grown |= {(kind, "all"): predicted[kind, "GP"] for kind in kinds}


def shift_at(n_train="all", split="cluster"):
    """Draw the GP's predictions with 95 % intervals, and its calibration curve."""
    given, std = grown[split, n_train]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 5.2))
    figure.subplots_adjust(left=0.08, right=0.98, bottom=0.11, top=0.84, wspace=0.25)
    low, high = given - 1.96 * std, given + 1.96 * std
    plots_uncertainty.predicted_observed(
        y[few], given, low, high, level=0.95, units=data.units, quantity="heat", ax=left
    )
    plots_uncertainty.calibration_curve(y[few], {"GP": (given, std)}, ax=right)
    figure.suptitle(f"{split} split, {n_train} training molecules", fontsize=11)
    print(
        f"R2 {evaluate.r2(y[few], given):.2f}, MAE {evaluate.mae(y[few], given):.1f} "
        f"{data.units}, coverage {evaluate.coverage(y[few], given, std):.2f}"
    )
    top = np.argsort(y[few])[-10:]
    missed = (np.abs(y[few] - given) > 1.96 * std)[top].sum()
    print(
        f"of the ten highest {missed} are missed; median stated width "
        f"{np.median(std[top]):.0f} {data.units}, of all {np.median(std):.0f}"
    )


shift_at()

# %% [markdown]
# **Figure:** left, predicted against measured heat of sublimation of all molecules under the cluster split, with the GP's
# 95 % intervals, misses as orange squares; right, its calibration curve with the grey band of a calibrated model. The
# highest heats are predicted far too low, and many of their intervals miss, although they are somewhat wider than usual. They
# are not wide enough. (In part this is choice: whoever picks the highest *measured* values picks misses, with any model.)

# %% tags=["widget"]
interactive(shift_at, n_train=[25, 100, "all"], split=kinds)

# %% [markdown]
# ## 5 How many molecules?
#
# The lecture reads three sentences from the study, and we call them claim C8:
#
# 1. below 100 samples NGBoost is best;
# 2. deep models are poor below 300;
# 3. and good from 500.
#
# (The slide says that NGBoost is *good* and that deep models *become better*; our rule asks for more, that NGBoost be
# the best and deep models nearly level. And the sentence stands on a slide about cluster sampling, while our rule
# names no kind of newness: we test it under random splits, the mildest kind.)
#
# A fifth of the molecules is set aside; the training set grows from 25 to all others, each size containing the smaller
# ones. One small neural network joins. It has two hidden layers and states a mean and a noise. We give it molecules in
# **batches** of 32: each batch moves the weights a little, a *gradient step*. An **epoch** has passed when each molecule
# has been used once. (15 % of its molecules are held back, to tell it when to stop.)

# %%
splits = {}
for draw in range(N_DRAWS):
    one_in_five = GroupShuffleSplit(1, test_size=0.2, random_state=draw)
    pool, test = next(one_in_five.split(data.smiles, groups=data.groups))
    splits[draw] = np.random.default_rng(draw).permutation(pool), test
SIZES = [25, 100, 250, len(pool)] if fast() else [25, 50, 100, 250, len(pool)]


def score(draw, name, n, given, std):
    """One line of the table, with the columns of the full run."""
    test = splits[draw][1]
    line = {"set": "today", "split": draw, "n": n, "cell": name, "n_test": len(test)}
    line["skill"] = evaluate.r2(y[test], given)
    if np.isfinite(std).all():
        line["ama"] = evaluate.miscalibration_area(y[test], given, std)
    return line


rows = []
for draw, (order, test) in progress(splits.items(), "draws"):
    for n in SIZES:
        for name in ("ridge", "GP", "NGBoost", "network"):
            rows.append(score(draw, name, n, *fit_predict(name, order[:n], test, seed=draw)))
today = pd.DataFrame(rows)
for measure, what in {"skill": "R2", "ama": "miscalibration area"}.items():
    print(f"{what}, mean of {N_DRAWS} draws")
    by_n = today.pivot_table(index="n", columns="cell", values=measure, sort=False)
    print_table(by_n, "{:.2f}")
areas = perfect_reference(evaluate.miscalibration_area, n=len(test))
print(f"area of a perfect model on {len(test)} molecules: ", end="")
print(f"mostly below {np.quantile(areas, 0.95):.3f}")

# %%
c8 = claim("C8")
sizes = full("dionysus_sizes")
panels = {"today, sublimation": today}
if sizes is not None:
    at_100 = sizes[sizes["n"] == 100]  # for section 7
    sizes = sizes[sizes["set"].isin(c8.rule.sets) & (sizes["on"] != "embedding")]
    # the last size, all training molecules, varies a little from draw to draw
    middle = sizes[sizes["n"] > 500].groupby("set")["n"].median().round()
    sizes = sizes.assign(
        n=sizes["n"].where(sizes["n"] <= 500, sizes["set"].map(middle)).astype(int)
    )
    panels |= dict(list(sizes.groupby("set", sort=False)))
lines, columns = -(-len(panels) // 2), min(2, len(panels))
figure, axes = plt.subplots(
    lines, columns, figsize=(6 * columns, 4.4 * lines), squeeze=False, layout="constrained"
)
DRAWN = ("GP", "NGBoost", "BNN", "SNGP", "network", "ensemble", "GNN-GP", "ridge")
for ax, (name, part) in zip(axes.flat, panels.items(), strict=False):
    drawn = part[part["cell"].isin(DRAWN)]
    curve = drawn.groupby(["cell", "n"], sort=False)["skill"].agg(["mean", "min", "max"])
    others = ~curve.index.isin(
        ["GP", "NGBoost"], level="cell"
    )  # their bands would hide all else
    curve.loc[others, ["min", "max"]] = np.nan
    plots.learning_curve(
        curve.reset_index(), x="n", label="cell", low="min", high="max", title=name,
        order=DRAWN,
        ylabel="AUROC" if "auroc" in part and part["auroc"].notna().any() else "R2", ax=ax,
    )  # fmt: skip
    ax.set_ylim(max(ax.get_ylim()[0], -0.5), 1)
for ax in axes.flat[len(panels) :]:
    ax.axis("off")
if sizes is not None:
    for name, part in sizes.groupby("set", sort=False):
        measure = "AUROC" if part["auroc"].notna().any() else "R2"
        print(f"full run, {name}: {measure}, mean of {part['split'].nunique()} draws")
        print_table(part.pivot_table(index="cell", columns="n", values="skill"), "{:.2f}")
    print("full run, miscalibration area, mean over draws and regression sets")
    common = sizes[sizes["n"] <= 500]  # the last size differs from set to set
    print_table(common.pivot_table(index="cell", columns="n", values="ama"), "{:.2f}")

# %% [markdown]
# **Figure:** $R^2$ on the test (AUROC for sets of two classes) against the number of training molecules, on a
# logarithmic axis, one line a model; the bands of the GP and of NGBoost run from the worst to the best draw. The
# first panel is today's run with its few draws. The data sets of the full run follow, each in a panel of its own,
# with more draws. (MLP is in the table and in the rule, and not drawn.) NGBoost's line runs below the GP's in every
# panel, most where there are few molecules. With 25 and 50 molecules most networks are at most 0.1 behind the GP,
# with more molecules mostly closer. Three cases lie further behind: GNN-GP on Delaney and on permittivity up to 100
# molecules, and the BNN on BACE, which is at chance with 25 molecules. Why, we did not test.

# %% [markdown]
# ### A model that has seen other tables
# All these models know nothing before they see your molecules. **TabPFN** (Hollmann et al. 2025) is a network that was
# trained beforehand on a very large number of made-up tables, so that it predicts for a new table without any training. Its
# weights are a file to download, which the course does not have, so it prints no figure for it. If you have the file: install
# `tabpfn`, set `TABPFN_WEIGHTS` to its path, and the cell runs it on the draws above.


# %%
def tabpfn_r2(weights, n):
    """R2 of TabPFN on the descriptors, from n training molecules; one value a draw."""
    from tabpfn import TabPFNRegressor

    found = []
    for draw, (order, test) in splits.items():
        some = order[:n]
        assert_no_leak(data.groups[some], data.groups[test])
        settings = {"ignore_pretraining_limits": True}  # it has been made for fewer columns
        model = TabPFNRegressor(model_path=weights, device="cpu", random_state=draw, **settings)
        found.append(evaluate.r2(y[test], model.fit(X[some], y[some]).predict(X[test])))
    return found


weights = os.environ.get("TABPFN_WEIGHTS")
if weights is None:
    print("TabPFN: not run here, as TABPFN_WEIGHTS is not set")
else:
    print("TabPFN, R2 from 100 molecules:", np.round(tabpfn_r2(weights, 100), 2))

# %% [markdown]
# ## 6 A rule, or a line of code?
#
# The study's code is public, and so it can be read. Its networks train on batches of
# 256 molecules. When the molecules do not fill the last batch, the batcher **drops** it. With thousands of molecules
# nobody would notice.
#
# ### Exercise 8.2: count the steps
# Write the function that returns the number of gradient steps in training: `n` molecules, batches of `batch`, the last
# batch dropped unless it is full, `epochs` epochs.


# %% tags=["exercise"]
def gradient_steps(n, epochs, batch=256): ...


# %%
check("8.2", gradient_steps)


# %% tags=["solution"]
# Solution 8.2 (unfold me when you have tried)
def gradient_steps_solution(n, epochs, batch=256):
    return n // batch * epochs


check("8.2", gradient_steps_solution)

# %% [markdown]
# The arithmetic of one epoch. In the study's growing sets 15 % of the molecules are kept for validation, and its axis counts
# both parts; so do the first lines. The last two are its sets of section 8 of lesson 05, with seven tenths for training:

# %% tags=["nbval-check-output"]
asked = {f"{n} with validation": int(0.85 * n) for n in (120, 200, 300, 301, 302, 602, 603)}
asked |= {"FreeSolv": 445, "Delaney": 780}  # counted in the study's published splits
arithmetic = {
    what: {
        "training": n,
        "steps": gradient_steps_solution(n, epochs=1),
        "molecules dropped": n % 256,
        "steps with the rest kept": -(-n // 256),
    }
    for what, n in asked.items()
}
arithmetic = pd.DataFrame(arithmetic).T
print_table(arithmetic)

# %% [markdown]
# Below 256 training molecules there is not a single step; with 300 molecules in all, 255 are left to train on. The networks
# of the study, its Bayesian network, its SNGP and its GNN-GP, then predict with their random starting weights. No error,
# no warning: the program ran, and wrote scores into a table. Whether this is where "below 300" comes from we cannot know.
# The first step, at about 300 molecules in all, is where the rule says that deep models stop being poor. (From 256 on, the
# rest is dropped in each epoch anew, after a shuffle, so that every molecule gets its turn.)
#
# What does an untrained network say? Our own does so when it is given no epochs.
#
# > **Predict first.** What is the $R^2$ of a network with random weights, from 250 molecules?

# %% tags=["predict"]
my_prediction = ...  # R2

# %%
order, test = splits[0]
some = order[:250]
untrained = DeepEnsembleRegressor(1, max_epochs=0, random_state=0).fit(X[some], y[some])
answers = {
    "no step": untrained.predict(X[test], return_std=True),
    "trained": fit_predict("network", some, test),
}
show_prediction(my_prediction, evaluate.r2(y[test], answers["no step"][0]))
for name, (given, std) in answers.items():
    print(
        f"{name:8} R2 {evaluate.r2(y[test], given):5.2f}, predictions {given.min():.0f} to "
        f"{given.max():.0f} {data.units}, stated width {np.median(std):.0f}, "
        f"needed {evaluate.rmse(y[test], given):.0f}, "
        f"area {evaluate.miscalibration_area(y[test], given, std):.3f}"
    )
print(
    f"measured values {y[test].min():.0f} to {y[test].max():.0f} {data.units}, "
    f"standard deviation {y[test].std():.0f}"
)

# %% [markdown]
# The untrained network guesses the mean, roughly, as its outputs are rescaled to the training values. Look at its width
# and its area, too. It states about the spread of the whole table, and that is roughly what its errors are. **A model
# that has learned nothing can look calibrated** (lesson 05, section 3), so the area alone would not have given it away.
#
# Now the learning curve of one and the same network, with batches of about 256 molecules in both cases: once with no batch
# dropped, once with a rule like the published one. Ours counts all molecules that it is given, those held back for stopping
# too. So our first step comes at 256 molecules, the study's at 302.
#
# > **Predict first.** With that rule: how much does $R^2$ gain when the training set grows from 250 to 260 molecules?

# %% tags=["predict"]
my_prediction = ...  # gain in R2


# %%
def rest_dropped(n, draw):
    """The network on full batches of 256: the rest is dropped, the same rows in every epoch."""
    order, test = splits[draw]
    used = n // 256 * 256
    settings = {"max_epochs": 0} if used == 0 else {"batch_size": 256}
    network = DeepEnsembleRegressor(1, random_state=draw, **settings)
    rows = order[: used or n]  # with no step, the molecules still set the scale
    return network.fit(X[rows], y[rows]).predict(X[test], return_std=True)


def nothing_dropped(n, draw):
    """The same network in batches of about 256, no molecule dropped."""
    order, test = splits[draw]
    network = DeepEnsembleRegressor(1, random_state=draw, batch_size=256)
    return network.fit(X[order[:n]], y[order[:n]]).predict(X[test], return_std=True)


rows = []
for draw in splits:
    for n in sorted({*SIZES, 260}):
        rows.append(score(draw, "no batch dropped", n, *nothing_dropped(n, draw)))
        rows.append(score(draw, "last batch dropped", n, *rest_dropped(n, draw)))
both = pd.concat([today[today["cell"] == "GP"], pd.DataFrame(rows)])
by_size = both.pivot_table(index="n", columns="cell", values="skill")
dropped = by_size["last batch dropped"]
show_prediction(my_prediction, dropped[260] - dropped[250])
print_table(by_size, "{:.2f}")

# %%
curve = both.groupby(["cell", "n"], sort=False)["skill"].agg(["mean", "min", "max"])
ax = plots.learning_curve(
    curve.reset_index(), x="n", label="cell", low="min", high="max", ylabel="R2",
    title="One network, two rules for the last batch",
)  # fmt: skip
_ = ax.axvline(256, color="#666666", linestyle="--", linewidth=1)

# %% [markdown]
# **Figure:** $R^2$ on the test against the number of training molecules: the GP, the network with no batch dropped, and
# the same network with the last batch dropped. The line of the last one stays near or below zero up to 250 molecules and
# jumps between 250 and 260, across the dashed line at 256; that of the other network does not.
#
# So part of "deep models are poor below 300" can be a cliff that a program made. Every group makes such slips, ours
# too (see the end of this lesson). It can leave a trace. The study grew its sets in two ways, "standard" and
# "diverse", seven sets each, and published the mean and the median of each model's $R^2$. Sets without a step pull
# down the mean. They leave the median alone where they are fewer than half; where they are more, the median is that
# of an untrained network, near 0.

# %% tags=["nbval-check-output"]
FREESOLV = pd.DataFrame(  # data/freesolv/generalization/results of the study's repository
    {"GP": (0.758, 0.755, 0.873, 0.922), "NGBoost": (0.780, 0.782, 0.873, 0.909),
     "SNGP": (0.492, 0.811, 0.379, 0.001), "GNN-GP": (0.479, 0.809, 0.374, 0.007),
     "BNN": (-0.807, 0.698, -0.315, -0.148)},
    index=["standard: mean", "standard: median", "diverse: mean", "diverse: median"],
).T  # fmt: skip
print("published R2 over seven growing sets of FreeSolv, on Mordred (GNN-GP on graphs)")
print_table(FREESOLV, "{:.2f}")
# the study's split script: two to eight eighths of about 510 molecules, 15 % for validation
standard = [int(0.85 * 510 * eighths / 8) for eighths in range(2, 9)]
steps = [gradient_steps_solution(n, epochs=1) for n in standard]
print("training molecules of the standard series, about:", standard)
print("gradient steps an epoch:                         ", steps)

# %% [markdown]
# In the standard series three of seven sets give no step: fewer than half, so the networks' mean should lie below
# their median, and it does, by far. In the diverse series the median is near 0 (the sizes of its sets are not in the
# code). The GP and NGBoost show neither. That fits the missing steps, and does not prove them. Two habits find such a
# slip: print the training loss before and after, and ask of every curve with a cliff whether nature or a number in
# the code put it there (lesson 01: `min_child_samples`).
#
# Take 120 molecules of the study's own set Delaney, fewer than half a batch. What do networks reach that take their steps?

# %% tags=["nbval-check-output"]
networks = full("dionysus_few")
if networks is not None:
    by_model = networks.groupby("cell", sort=False)["r2"].agg(["mean", "min", "max"])
    print(f"full run: R2 from 120 molecules of Delaney, {networks['split'].nunique()} draws")
    print_table(by_model.sort_values("mean"), "{:.2f}")

# %% [markdown]
# "Poor" means behind the other models on the same molecules, not below some number: compare with ridge, NGBoost and the GP in
# the same table.
#
# ### What is left of C8?
# The full run trains every model at every size. Its rule takes the three parts, each measured from its own margin, and
# keeps the smallest: all three must hold. Today's figures, and how far the first part depends on the draw (today's
# NGBoost is a short one, which costs it some accuracy):


# %% tags=["nbval-check-output"]
def three_parts(table, deep):
    """The parts of C8; each is above 0 when that part holds."""
    means = table.pivot_table(index="n", columns="cell", values="skill")
    shallow = means.columns.difference(deep)

    def behind(which):  # how far the best deep model is behind the best other one
        at = means[which].mean()
        return at[shallow].max() - at[deep].max()

    few = means[means.index <= 100].mean()
    return {
        "NGBoost best": few["NGBoost"] - few.drop("NGBoost").max(),
        "deep poor below 300": behind(means.index < 300) - 0.10,
        "deep good from 500": 0.05 - behind(means.index >= 500),
    }


parts = three_parts(today, deep=["network"])
c8.illustrate(min(parts.values()), **{what.replace(" ", "_"): v for what, v in parts.items()})


def ahead_of_gp(name, part, model="NGBoost"):
    """One line: a model less the GP at each small size, and in how many draws it is ahead."""
    cells = []
    for n in (25, 50, 100):
        pairs = part[part["cell"].isin(["GP", model]) & (part["n"] == n)]
        wide = pairs.pivot_table(index="split", columns="cell", values="skill")
        if wide.shape[1] == 2:
            gap = (wide[model] - wide["GP"]).dropna()
            cells.append(f"n = {n}: {gap.mean():+.2f} ({(gap > 0).sum()} of {len(gap)})")
    print(f"{name:18} " + "   ".join(cells))


print("\nNGBoost less the GP, both on Mordred: mean, and in how many draws NGBoost is ahead")
for name, part in panels.items():
    ahead_of_gp(name, part)
set_by_study = full("dionysus_ngboost")
if set_by_study is not None and sizes is not None:
    print("\nthe same for NGBoost as the study set it")
    for name, part in set_by_study.groupby("set", sort=False):
        of_set = pd.concat([sizes[sizes["set"] == name], part])
        ahead_of_gp(name, of_set, "NGBoost as published")

# %% [markdown]
# Is it only our NGBoost that is poor? Cross-validation chooses its rounds. So the last lines ask the study's own
# settings: two thousand short steps, stopped early by 15 % of the molecules. (Four differences that we know of: we
# read it at its best round, while today's package keeps the rounds after it too; the package's version; our splits;
# the cleaning of the descriptors.) They decide nothing, as the rule names our version. They are behind the GP on all
# four sets as well.

# %% [markdown]
# ## Spot the leak
#
# A colleague draws a learning curve. The molecules are split once; then growing parts of the training molecules are
# chosen by number. This is the heart of the program:

# %% tags=["leak-lab"]
pool, test = np.sort(splits[0][0]), splits[0][1]  # rows of the table, in rising order
order = np.random.default_rng(1).permutation(len(pool))  # a random order of the pool


def colleague(n):
    """The first n training molecules."""
    return order[:n]


# %% [markdown]
# > **Predict first.** Which share of the **test** molecules is in the training set when it is as large as the pool?

# %% tags=["predict"]
my_prediction = ...  # share, between 0 and 1

# %% tags=["leak-lab", "nbval-check-output"]
GROWING = (50, 100, 250, len(pool))
show_prediction(my_prediction, np.isin(test, colleague(len(pool))).mean())
reported = {}
for n in GROWING:
    rows_n = colleague(n)
    seen = np.isin(test, rows_n)
    given = GPRegressor(**GP, random_state=0).fit(X[rows_n], y[rows_n]).predict(X[test])
    reported[n] = evaluate.r2(y[test], given)
    print(
        f"n = {n:3d}: {seen.mean():4.0%} of the test seen; R2 reported {reported[n]:.2f}; "
        f"MAE of those seen {evaluate.mae(y[test][seen], given[seen]):4.1f}, "
        f"of the others {evaluate.mae(y[test][~seen], given[~seen]):4.1f}"
    )

# %% [markdown]
# `order` counts **within the pool**, from 0 to its length. The function uses these numbers as rows of the **whole table**.
# Each number is a valid row, so nothing complains. The larger the training set, the more test molecules it holds, and
# that is the treacherous part: the score rises with $n$ as a learning curve should.
#
# The course's guard takes one line, and finds it at the smallest size:

# %% tags=["leak-lab", "nbval-check-output"]
try:
    assert_no_leak(data.groups[colleague(50)], data.groups[test])
except LeakError as error:
    print(fill(str(error), 94))

# %% [markdown]
# ### Exercise 8.3: mend it
# Write the function that returns the **rows of the table** of the first `n` training molecules, in the random order:
# `pool` holds the rows that may be used, `order` counts within `pool`.


# %% tags=["exercise", "leak-lab"]
def training_rows(pool, order, n): ...


# %% tags=["leak-lab"]
check("8.3", training_rows)


# %% tags=["solution", "leak-lab"]
# Solution 8.3 (unfold me when you have tried)
def training_rows_solution(pool, order, n):
    return pool[order[:n]]


check("8.3", training_rows_solution)

# %% tags=["leak-lab", "nbval-check-output"]
for n in GROWING:
    given, _ = fit_predict("GP", training_rows_solution(pool, order, n), test)
    print(f"n = {n:3d}: R2 {evaluate.r2(y[test], given):.2f}, reported {reported[n]:.2f}")
seen = np.isin(test, colleague(len(pool))).sum()
print("\nshare of the test molecules that were trained on")
print(f"our colleague:                  {seen} of {len(test)} ({seen / len(test):.0%})")
seen, n_test = 175, 224  # counted in the splits that the study published, as are the next two
print(f"DIONYSUS, growing on Delaney:   {seen} of {n_test} ({seen / n_test:.0%})")
of_cluster, of_test = 0.05, 0.24
print("share of a training set that is test")
print(f"DIONYSUS, one cluster set:      {of_test:.0%} of the training set are test molecules")
print(f"                                and {of_cluster:.0%} are of the cluster")

# %% [markdown]
# It happens in good work, too. In the study's public code the cluster splits make our colleague's slip: numbers that
# count within a part are used as rows of the whole table. The training sets that grow keep clear of one split's test
# molecules, and are then scored on those of another split. Both times the numbers were valid, so nothing complained. We
# know because the authors published their splits. So the curves behind C8 carry a
# leak besides the missing steps. Our full run makes its own splits, and each passes the guard.

# %% [markdown]
# ## 7 Which model when?
#
# What the study and the lecture advise, in our words:
#
# | you have | they would take |
# |---|---|
# | fewer than 100 molecules | NGBoost on descriptors (C8) |
# | descriptors at hand | a GP on Mordred, first of all (C2) |
# | fingerprints only | a GP (C3) |
# | few molecules and a graph network | its embedding, with a GP or NGBoost on top (C5) |
# | 500 and more | the Bayesian network on Mordred, or GNN-GP, as well (C4, C8) |
#
# Now from measurements. In each situation: the cells (model and feature) whose score, averaged over data sets, is within
# 0.02 of the best, with how far each is behind the best cell of each set, on average, and with its area (AMA) on the
# regression sets. (R2 and AUROC are averaged as they are.) Compare cells within a line, not lines with each other: those by
# size come from the four sets of C8, without embeddings; "molecules alike" from all six sets of the full run, "clusters
# new" from the study's three. The last lines give some cells of the advice at 100 molecules, on all six sets.


# %% tags=["nbval-check-output"]
def level_with_best(table, within=0.02):
    """Cells that can hardly be told from the best; how far behind, and their mean area."""
    by_set = table.pivot_table(index="set", columns="cell", values="skill").dropna(axis=1)
    if by_set.empty:
        return "no cell has run on all sets yet"
    behind = by_set.rsub(by_set.max(axis=1), axis=0).mean().sort_values(kind="stable")
    area = table.groupby("cell")["ama"].mean()
    chosen = behind[behind <= behind.iloc[0] + within]
    return ", ".join(
        f"{cell} ({gap:.3f}" + ("" if np.isnan(area[cell]) else f"; AMA {area[cell]:.2f}") + ")"
        for cell, gap in chosen.items()
    )


BANDS = {"100 or fewer": (0, 100), "101 to 499": (101, 499), "500 and more": (500, np.inf)}
situations = {
    f"{run}, {what}": table[table["n"].between(*band)]
    for run, table in {"today": today, "full run": sizes}.items()
    if table is not None
    for what, band in BANDS.items()
}
situations["full run, molecules alike"] = full("dionysus_random")
situations["full run, clusters new"] = full("dionysus_cluster")
for what, table in situations.items():
    if table is not None and len(table):
        print(fill(f"{what}: {level_with_best(table)}", 94, subsequent_indent="    "))
if sizes is not None:
    by_set = at_100.pivot_table(index="set", columns="cell", values="skill")
    behind = by_set.rsub(by_set.max(axis=1), axis=0).mean()
    print("full run, 100 molecules: behind the best cell of each set, on average")
    for cell in ("GP", "GP embedding", "NGBoost embedding", "GNN-GP", "NGBoost", "GP morgan"):
        print(f"    {cell:18} {behind[cell]:.3f}")
    wide = sizes[sizes["cell"].isin(DRAWN) & (sizes["cell"] != "ridge")].pivot_table(
        index=["set", "n", "split"], columns="cell", values="skill"
    )
    less_gp = wide.drop(columns="GP").sub(wide["GP"], axis=0)
    moves = less_gp.groupby(["set", "n"]).std().stack()
    print("standard deviation over draws of a model less the GP, median and largest")
    n = moves.index.get_level_values("n")
    for what, some in {"25 molecules": moves[n == 25], "all molecules": moves[n > 500]}.items():
        print(f"    {what:14} {some.median():.3f}, {some.max():.3f}")

# %% [markdown]
# Read it with three doubts. Another draw moves a difference between two models (last lines), with 25 molecules
# typically by more than most differences here. The sets are few, small and of a certain kind: liquids, drugs, organic
# solids. And no model was tuned here; lesson 05 shows what tuning buys. What travels better than any row of the table
# is the procedure: say what will be new, split that way, start with ridge and a GP, and add a model only when the
# interval of the *difference*, on the same splits, lies above zero.

# %% [markdown]
# ## Quiz

# %% tags=["quiz"]
quiz("08")

# %% [markdown]
# ## What we claimed and what we measured
#
# The rule was written before the full run. Today's figures are an illustration: one data set, few draws, one small network.

# %% tags=["nbval-check-output"]
c8.settle(
    {
        "holds": "All three parts hold when every model takes its gradient steps.",
        "does not hold": (
            "When every model takes its gradient steps, the first two parts fail on all four "
            "sets. The third holds on all four. (The best of five networks counts.)"
        ),
        "undecided": (
            "When every model takes its gradient steps, the first two parts fail on all "
            "four sets, and the third holds on all four. But four sets are few: after the "
            "correction for the eight claims of the family, p is not below 0.05."
        ),
    }
)

# %% [markdown]
# A word on how near this is. Our first full run said "does not hold", with p 0.038 after Holm's correction. Then we
# saw that our NGBoost for two classes took steps far too long, and could be certain after one round: on BACE, from 25
# molecules, its log loss was above 5 in five of ten draws, where a coin has 0.69. We mended it and ran its cells
# again. On BACE it is now nearer to the best, and p after correction was 0.061. (Above it reads a little lower: since
# then another claim of the family has been decided, and Holm's factor for C8 went from 8 to 7.) The uncorrected
# interval lay below 0 both times. A verdict can hang on one bug in one model, here a bug in favour of our conclusion.
# Look for bugs also where you like the result.

# %% [markdown]
# ## Take-away
#
# > A score belongs to a kind of newness and to a number of molecules: report all three together. And before you write "this
# > model needs more data", make sure that it was trained, and that the test was not in the training set.

# %% [markdown]
# ## References
#
# - Elix, *Training predictive models on small data sets* (lecture slides, in Japanese, 2024). Claim C8 and the guide.
# - Tom, Hickman, Zinzuwadia, Mohajeri, Sanchez-Lengeling & Aspuru-Guzik, *Calibration and generalizability of
#   probabilistic models on low-data chemical datasets with DIONYSUS*, Digital Discovery 2 (2023) 759-774,
#   [10.1039/D2DD00146B](https://doi.org/10.1039/D2DD00146B). Code, splits and all figures are public.
# - Hollmann, Müller, Purucker, Krishnakumar, Körfer, Hoo, Schirrmeister & Hutter, *Accurate predictions on small data with a
#   tabular foundation model*, Nature 637 (2025) 319-326. TabPFN.
# - Bemis & Murcko, *The properties of known drugs. 1. Molecular frameworks*, J. Med. Chem. 39 (1996) 2887-2893.
# - Sheridan, *Time-split cross-validation as a method for estimating the goodness of prospective prediction*, J. Chem.
#   Inf. Model. 53 (2013) 783-790. A random split flatters, some splits are too hard.
# - Meredig et al., *Can machine learning identify the next high-temperature superconductor? Examining extrapolation
#   performance for materials discovery*, Mol. Syst. Des. Eng. 3 (2018) 819-825. Leave one cluster out.
# - Consonni, Ballabio & Todeschini, *Comments on the definition of the Q2 parameter for QSAR validation*, J. Chem. Inf.
#   Model. 49 (2009) 1669-1678. The yardstick of exercise 8.1 (an older one) and its rivals.
# - Ovadia et al., *Can you trust your model's uncertainty? Evaluating predictive uncertainty under dataset shift*,
#   NeurIPS 32 (2019).

# %% [markdown] tags=["instructor"]
# ## Instructor notes
#
# <details>
# <summary>Timings, what goes wrong, what to ask</summary>
#
# | part | minutes |
# |---|---|
# | 1: new in what way? | 6 |
# | 2: when scaffolds cannot split | 5 |
# | 3: what the scores become | 6 |
# | Exercise 8.1 | 7 |
# | 4: does the model notice? slider | 6 |
# | 5: how many molecules? | 4 |
# | 6: a rule, or a line of code? | 7 |
# | Exercise 8.2 | 5 |
# | Spot the leak | 4 |
# | Exercise 8.3 | 5 |
# | 7: which model when? | 3 |
# | Quiz and claims | 2 |
#
# - Begin with the question of section 1 and let the class name what will be new in *their* work. Time is a likely answer
#   and no column here holds it; a cluster split is a stand-in.
# - Section 3: somebody will say that the cluster split is "the honest one". Ask what the model will be used for. If it is to
#   fill gaps in a known series, the random split is the honest one.
# - Exercise 8.1: a likely slip is to divide by the variance of the test values, which is R2. The check says so.
# - Section 4: ask what a model could have noticed under the split by structure and target. It has seen no value of the
#   test.
# - Section 6: tell it as the story of a number, not of a group. Ask who has ever printed the loss of the first epoch.
# - The leak lab works best when the class reads the five lines of code before it runs the table.
# - With 45 minutes: sections 1, 3 (without the exercise), 6 and the leak lab.
#
# </details>
