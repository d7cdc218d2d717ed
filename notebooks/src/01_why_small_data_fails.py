# %% [markdown]
# # 01 Why small data fails
#
# Train a famous model on fifty polymers, watch it fail, and find out what failed: the model, a default setting, the table, or our way of looking.

# %% [markdown]
# > **In this lesson**
# > - **Objectives:** read a parity plot of cross-validation and test points; find out how much of a failure is a default
# >   setting; say how far a score from n molecules can be trusted; recognise when a model is asked to extrapolate; find
# >   repeated molecules in a table; spot a choice that has seen the answers
# > - **Prerequisites:** lesson 00; pandas indexing, a scatter plot, what a variance and a residual are
# > - **Teaching:** 40 min
# > - **Exercises:** 20 min
# > - **Claims:** A1, A6
# > - **Recap:** Lesson 00 showed how predictions, exercise checks and folded solutions work. Nothing else is needed: this
# >   is where the course's one question begins, "how far can I trust this number?"
# > - **Run time:** FAST within 60 s and 700 MB; FULL (make reproduce) hours

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import OrthogonalMatchingPursuit, Ridge
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from course_lib import plots
from course_lib.datasets import audit, load
from course_lib.evaluate import mae, r2
from course_lib.featurize import Descriptors, enumerate_smiles, mordred2d
from course_lib.models import LightGBMRegressor, baselines
from course_lib.molecules import identity
from course_lib.results import full_run
from course_lib.settings import progress
from course_lib.splits import GroupKFold, GroupShuffleSplit
from course_lib.teaching import check, claim, fast, interactive, quiz, show_prediction

# %% [markdown]
# ## 1 Fifty measurements
#
# Making and measuring one new material takes a day, if all goes well. Machine learning likes ten thousand examples. The
# lecture behind this lesson does the sum for its audience, people who develop materials:

# %% tags=["nbval-check-output"]
wanted, working_days = 10_000, 200
print(f"{wanted} experiments, one each working day: {wanted / working_days:.0f} years")

# %% [markdown]
# So most laboratories work with what they have, and that is often fewer than fifty values. The lecture's verdict on them is
# harsh: advanced models such as LightGBM are "too unstable to use". We put that to the test, on the lecture's own subject:
# the **glass transition temperature** of polymers, $T_g$, at which a hard glass turns into a soft rubber.
#
# Our table comes from public handbooks and papers. It is larger than fifty, on purpose: we train on fifty molecules and use
# all the others to find out how good the model *really* is. A laboratory with fifty values can never do that.

# %% tags=["nbval-check-output"]
data = load("homopolymer_tg")
one_each = np.sort(np.unique(data.groups, return_index=True)[1])  # one row a molecule (section 7 says why)
data = data.subset(one_each)
y, molecule = data.y, data.groups

print(f"{len(data)} polymers, Tg from {y.min():.0f} to {y.max():.0f} {data.units}, standard deviation {y.std():.0f} {data.units}")

# %%
ax = plots.named_values(y, data.names, units="K", quantity="glass transition", title="The polymers of this lesson, in order of Tg")

# %% [markdown]
# **Figure:** the glass transition temperatures of all polymers in kelvin, in rising order, a few of them named. Rubbers
# stand at the lower left, stiff chains with rings at the upper right.
#
# A model needs numbers, not names. A **descriptor** is a number computed from a molecule's structure: its mass, how many
# rings it has, how its charge is spread. The program Mordred computes them by the hundred. (A polymer has no single
# molecule; here its repeat unit, closed with hydrogens, stands for it. Lesson 02 asks whether that is wise.)

# %% tags=["nbval-check-output"]
X = mordred2d(data.smiles).to_numpy()
fifty = Descriptors().fit(X[:50])  # what is left after dropping columns that are empty, constant or copies of others
print(f"{X.shape[1]} descriptors a polymer")
print(f"of use for 50 polymers: {len(fifty.kept_)}, still {len(fifty.kept_) / 50:.0f} columns for every row")

# %% [markdown]
# More columns than rows: keep that in mind for the leak at the end.

# %% [markdown]
# ## 2 The lecture's picture
#
# Three models, from knowing nothing to knowing everything:
#
# - the **mean**: predicts the average $T_g$ of its training polymers, whatever the molecule. Every model must beat it.
# - **ridge**: a straight-line model on what you could count by hand, the molecular weight and the atoms of each element.
# - **LightGBM** on all of Mordred's descriptors: a hundred small *decision trees*. A tree asks yes-or-no questions ("more
#   than one ring?") and answers with an average of training values. Each tree corrects what the trees before it left over.
#
# LightGBM stands here twice: with the lecture's settings, and with one number changed. Which number, and why, comes out below.

# %%
MODELS = {
    "mean": (baselines.mean(), data.smiles),
    "ridge": (baselines.ridge_counts(), data.smiles),
    "LightGBM": (make_pipeline(Descriptors(), LightGBMRegressor()), X),
    "LightGBM, leaves of 3": (make_pipeline(Descriptors(), LightGBMRegressor(min_child_samples=3)), X),
}


def fit_predict(train, test):
    """Train each model on some molecules and predict others."""
    return {name: clone(model).fit(table[train], y[train]).predict(table[test]) for name, (model, table) in MODELS.items()}


# %% [markdown]
# How good is a model that was trained on fifty molecules? There are two ways to ask.
#
# **Test.** Predict molecules that took no part in the training. Honest, but it costs measurements.
#
# **Cross-validation.** Deal the fifty into five folds. Train on four folds, predict the fifth; five times, until each molecule
# has been predicted once by a model that had not seen it. Costs nothing but computing. It is what nearly everyone reports.


# %%
def cross_validate(train, seed):
    """Predict each training molecule once, by models trained on the four folds that do not hold it."""
    predicted = {name: np.empty(len(train)) for name in MODELS}
    for fit, held in GroupKFold(5, shuffle=True, random_state=seed).split(train, groups=molecule[train]):
        for name, values in fit_predict(train[fit], train[held]).items():
            predicted[name][held] = values
    return predicted


def draw(n, seed):
    """Choose n molecules to train on; all the others are the test."""
    return next(GroupShuffleSplit(1, train_size=n, random_state=seed).split(X, groups=molecule))


# %% [markdown]
# > **Predict first.** We train on fifty polymers and test on all the others. Predicting the mean misses by about
# > 80 kelvin. By how much will LightGBM miss, on average? Write down a number before you run on.

# %% tags=["predict"]
my_prediction = ...  # kelvin, mean absolute error on the test polymers

# %% tags=["nbval-check-output"]
train, test = draw(50, seed=0)
inside, outside = cross_validate(train, seed=0), fit_predict(train, test)

show_prediction(my_prediction, mae(y[test], outside["LightGBM"]), units="K")

# %% [markdown]
# Not bad at all, for a model that is said to be unusable. Now both answers side by side, for each model:

# %% tags=["nbval-check-output"]
scores = pd.DataFrame({
    "MAE cross-validation (K)": {name: mae(y[train], inside[name]) for name in MODELS},
    "MAE test (K)": {name: mae(y[test], outside[name]) for name in MODELS},
    "R2 cross-validation": {name: r2(y[train], inside[name]) for name in MODELS},
    "R2 test": {name: r2(y[test], outside[name]) for name in MODELS},
})  # fmt: skip
print(scores.to_string(float_format="{:.3g}".format))

# %% [markdown]
# **Figure:** the lecture's picture, a parity plot, once for each model. Measured against predicted $T_g$ in kelvin;
# blue circles are cross-validation points, orange squares are test points; a perfect model puts all of them on the grey line.

# %%
figure, panels = plt.subplots(2, 2, figsize=(9, 9), layout="constrained")
kind = np.repeat(["cross-validation", "test"], [len(train), len(test)])
for name, ax in zip(MODELS, panels.flat, strict=True):
    both = np.concatenate([inside[name], outside[name]])
    plots.parity(np.concatenate([y[train], y[test]]), both, kind, units="K", quantity="Tg", title=name, ax=ax)

# %% [markdown]
# Look at the lower left panel. The orange squares follow the line. The blue circles do not: they lie on a few flat lines,
# exactly where they lie for the mean, upper left. One and the same model is fair on the test and useless in cross-validation.
# The lecturer, looking at such a picture, could not even be bothered to say which points are which.
#
# Now the lower right panel: one number changed, and both kinds of points follow the line. So fifty molecules were not the
# whole trouble. What did the number do?

# %% [markdown]
# ### Open the model
# The number is `min_child_samples`: how many training molecules each leaf of a tree must hold. The default is 20; on the
# right we set it to 3. In cross-validation a model trains on four folds out of five, on 40 molecules.
#
# > **Predict first.** A leaf is an end of a tree; a tree that asks one question has two leaves. In the largest tree that LightGBM
# > grew in a fold, with its default, how many leaves are there?

# %% tags=["predict"]
my_prediction = ...  # leaves


# %% tags=["nbval-check-output"]
def leaves(n, **settings):
    """Leaves of each tree that LightGBM grew on n of the fifty molecules."""
    some = train[:n]
    model = LightGBMRegressor(**settings).fit(Descriptors().fit_transform(X[some]), y[some])
    return [tree["num_leaves"] for tree in model.booster_.dump_model()["tree_info"]]


show_prediction(my_prediction, max(leaves(40)), units="leaves")
for n in (40, 50, 70, 100):
    some = draw(n, seed=0)[0]
    print()

# %%
