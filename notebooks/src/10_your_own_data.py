# %% [markdown]
# # 10 Your own data
#
# You will take a messy table from a laboratory to a page that a colleague can read, doubt and use.

# %% [markdown]
# > **In this lesson**
# > - **Objectives:** account for every row of a table before a model sees it; choose the split that asks what you will
# >   ask; tell a signal from chance by scrambling; read intervals, domain and noise ceiling off a report; say what a
# >   report allows you to claim and what not
# > - **Prerequisites:** lessons 01, 03 and 05 (or their take-aways); pandas indexing
# > - **Teaching:** 38 min
# > - **Exercises:** 22 min
# > - **Claims:** none
# > - **Recap:** A score is as good as its split (lesson 03), an interval holds its level for all molecules together and
# >   not for one (lesson 05), and noise in the labels bounds every score (lesson 04).
# > - **Run time:** FAST within 60 s and 1 GB (120 s with an empty cache); FULL some minutes, with more splits

# %%
import tempfile
from pathlib import Path
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.model_selection import KFold
from sklearn.neighbors import KNeighborsRegressor

from course_lib import plots
from course_lib.datasets import TableError, read_molecules, read_table
from course_lib.featurize import morgan
from course_lib.models.baselines import ridge_counts
from course_lib.report import choose_split, report
from course_lib.report.models import features
from course_lib.results import full_run
from course_lib.splits import GroupKFold
from course_lib.teaching import check, fast, interactive, print_table, quiz, show_prediction
from course_lib.teaching.uploads import upload

DATA = Path("../data") if Path("../data").is_dir() else Path("data")

# %% [markdown]
# ## 1 Every row is accounted for
#
# This table came by mail: heats of sublimation, how much energy it takes to turn a solid into vapour. (We made the mess:
# `tools/messy_table.py` says what was planted. The molecules and values are from the course's `sublimation` set.)

# %% tags=["nbval-check-output"]
raw = (DATA / "lab_table.csv").read_bytes()
print(raw[:310].decode("cp1252"))

# %% [markdown]
# Semicolons, decimal commas, a title above the header, an umlaut that is not UTF-8. What does `pandas` make of it, told
# the separator and the encoding?

# %% tags=["nbval-check-output"]
naive = pd.read_csv(DATA / "lab_table.csv", sep=";", encoding="cp1252", skiprows=1)
values = pd.to_numeric(naive["Enthalpie (kJ/mol)"], errors="coerce")
print(f"{len(naive)} rows, {values.notna().sum()} numbers")

# %% [markdown]
# Not one number: a comma is no decimal point. Replacing commas helps, and then the cells with a unit, a `<` or a word
# become NaN and go without a sound. **A row that disappears silently is a decision that nobody took.**
#
# > **Predict first.** How many different *molecules* with a value does the file hold? Look at `naive` if you like.

# %% tags=["predict"]
my_prediction = ...  # molecules

# %% tags=["nbval-check-output"]
data, audit = read_table(DATA / "lab_table.csv")
show_prediction(my_prediction, len(data))
print(audit.counts)
print("row  reason")
for left_out in audit.rows[audit.rows["fate"] == "left out"].itertuples():
    print(f"{left_out.row:3}  {left_out.reason}")

# %% [markdown]
# Used, merged and left out add up to the rows, and each row left out or merged has a reason. A bound such as `<50` is not
# a value. A name is not a structure: the computer could look it up, and would now and then find another substance, so it
# says so instead. Rows of one molecule, **replicates**, are merged by their median. A salt stays a row of its own, and is
# never put on the other side of a split than its free base or acid.
#
# What was *guessed* is told as well:

# %% tags=["nbval-check-output"]
for note in audit.notes:
    print("-", note)

# %% [markdown]
# ### Exercise 10.1: the value that the audit did not dare to remove
# Unusual values are found and kept, since an unusual value may be a discovery. One of the values *in use* is a slip of
# the pen. In which row of the **file** does it stand? (`audit.findings`, `audit.having("outlier")`)

# %% tags=["exercise"]
row_of_the_slip = ...

# %%
check("10.1", row_of_the_slip)

# %% tags=["solution"]
# Solution 10.1 (unfold me when you have tried)
row_of_the_slip_solution = int(audit.having("outlier")[0])
check("10.1", row_of_the_slip_solution)

# %% [markdown]
# We ask the laboratory. The lab book has the comma one place further left. The correction is made in a **copy of the
# file**, never in the notebook alone: whoever reads the file next must find it mended.

# %% tags=["nbval-check-output"]
folder = Path(tempfile.mkdtemp())
mended = folder / "lab_table_mended.csv"
mended.write_bytes(raw.replace(b";1285,0;", b";128,5;"))
data, mended_audit = read_table(mended)
assert mended_audit.counts == audit.counts  # nothing else has changed
new, _ = read_molecules(DATA / "lab_candidates.csv")
print(f"{len(data)} molecules, {data.y.min():.0f} to {data.y.max():.0f} {data.units}")
print(f"{len(new)} candidates")

# %% [markdown]
# ## 2 A split for the use
#
# The laboratory has a list of candidates and wants to know which to measure. So the test should ask what the candidates
# will ask: a test molecule should be about as far from its training molecules as a candidate is from the table.

# %% tags=["nbval-check-output"]
smiles = list(data.smiles)
bits, new_bits = features("bits", smiles), features("bits", list(new.smiles))
split = choose_split(data.smiles, bits, data.groups, new_bits)
print("Tanimoto distance of fingerprints: 0 the same, 1 nothing in common")
for kind, distance in split.nearest.items():
    print(f"{kind:10s} median distance to the nearest training molecule: {distance:.2f}")
print("chosen:", split.kind)

# %% [markdown]
# ### Exercise 10.2: argue with the choice
# Write the rule as a function: `nearest` has a distance for each kind of split, `aim` is the distance of the candidates.
# Return the name of the split to take.


# %% tags=["exercise"]
def kind_of_split(nearest, aim): ...


# %%
check("10.2", kind_of_split)


# %% tags=["solution"]
# Solution 10.2 (unfold me when you have tried)
def kind_of_split_solution(nearest, aim):
    return min(nearest, key=lambda kind: abs(nearest[kind] - aim))


check("10.2", kind_of_split_solution)

# %% [markdown]
# Without candidates the report takes the harder split, since tomorrow's molecules are seldom as close as today's. Would
# you? Say what speaks against it before you go on.
#
# ## 3 Signal or chance?
#
# Before we ask which model is best we ask whether there is anything to learn. Give the molecules each other's values:
# whatever a model then seems to know is chance. Chemists call it **y-scrambling**. The skill is 1 less (error of the model)
# / (error when the mean is always predicted): 0 is no better than the mean, 1 is perfect.


# %% tags=["nbval-check-output"]
def skill(y):
    """How much of the mean's error ridge regression on atom counts takes away."""
    error, of_the_mean = [], []
    for train, test in split.splits(5):
        model = ridge_counts().fit(data.smiles[train], y[train])
        error.append(np.abs(model.predict(data.smiles[test]) - y[test]).mean())
        of_the_mean.append(np.abs(y[train].mean() - y[test]).mean())
    return 1 - np.mean(error) / np.mean(of_the_mean)


rng = np.random.default_rng(0)
real = skill(data.y)
scrambled = np.array([skill(rng.permutation(data.y)) for _ in range(19)])
print(f"real values: {real:.2f}; scrambled: {scrambled.min():.2f} to {scrambled.max():.2f}")

# %% [markdown]
# ### Exercise 10.3: how often would chance do as well?
# Write the p value of this test from the real skill and an array of scrambled ones. What counts as "as well"? What may
# p never be?


# %% tags=["exercise"]
def p_value(skill, scrambled): ...


# %%
check("10.3", p_value)


# %% tags=["solution"]
# Solution 10.3 (unfold me when you have tried)
def p_value_solution(skill, scrambled):
    return (1 + np.sum(scrambled >= skill)) / (1 + len(scrambled))


check("10.3", p_value_solution)

# %% tags=["nbval-check-output"]
print(f"p = {p_value_solution(real, scrambled):.2f}")

# %% [markdown]
# This is the smallest p that 19 runs can give: no scrambled run did as well. The skill itself is small.
#
# ## 4 The whole report
#
# One call does all of it, and more: four baselines and three models on the same splits, the scrambling for the best one,
# intervals whose coverage is **measured**, the domain, the candidates. On the command line:
# `python -m course_lib report FILE --target COLUMN --candidates FILE2 --quick`.

# %%
made = report(
    mended, candidates=DATA / "lab_candidates.csv", out=folder / "report.html", quick=fast()
)
study, numbers = made.study, made.study.numbers

# %% tags=["nbval-check-output"]
print("verdict:", study.verdict, "-", study.recommended or " ".join(study.reasons)[:80])
for row in numbers["models"]["scores"]:
    print(f"{row['model']:34s} {row['mean']:5.1f}  ({row['low']:.1f} to {row['high']:.1f})")
print("best simple baseline:", numbers["models"]["best_baseline"])

# %% [markdown]
# Read the intervals before the order. With so few molecules they are wide, and all of them overlap. But the models share
# the splits, and a split that is hard for one is hard for all. So the verdict rests on a comparison **split by split**: what
# share of the mean's error does a model make on the same molecules? Where the interval ends below 1, the model is better
# than the mean.

# %% tags=["nbval-check-output"]
print("error as a share of the mean's, with 95 % interval:")
for row in numbers["models"]["against_mean"]:
    print(f"{row['model']:34s} {row['ratio']:5.2f}  ({row['low']:.2f} to {row['high']:.2f})")
against = numbers["models"]["against_baseline"]
if against:
    less, low, high = against["difference"], against["low"], against["high"]
    print("best model less best simple baseline, split by split:")
    print(f"    {less:.1f} ({low:.1f} to {high:.1f}) {data.units}")

# %% [markdown]
# Whether the winner beats the best *simple* baseline is another question than whether it beats the mean: an interval that
# holds 0 leaves it open. The page answers both.

# %%
ax = plots.parity(
    data.y,
    study.table["predicted"],
    units=data.units,
    title="Molecules that the model did not see",
)

# %% [markdown]
# **Figure:** Predicted against measured heat of sublimation in kJ/mol, one point a molecule, each predicted by models
# that did not see it, with the line of perfect prediction. Large values are predicted too small: a model that knows
# little stays near the mean.
#
# The error in the legend is a little smaller than that in the table. The splits are made more than once, and a point is
# the mean of a molecule's predictions. The table takes the error of each split by itself, and single predictions are off
# by more than their mean.
#
# ### What it promises
# The page states an interval for each candidate, a limit of the domain, and how good any model could be at best.

# %% tags=["nbval-check-output"]
if study.recommended:
    interval, domain = numbers["intervals"], numbers["domain"]
    print(
        f"stated {interval['level']:.0%}, held {interval['coverage']:.0%} of the left-out ones"
    )
    print(f"domain: distance at most {domain['limit']:.2f}")
    print(f"    {numbers['candidates']['in_domain']} of {len(new)} candidates inside")
noise = numbers["noise"]
print(f"noise of one measurement: {noise['sd']:.1f} {data.units}")
print(f"    from {noise['molecules']} molecules measured twice")
print(f"R2 of {study.recommended or 'the best'}: {numbers['models']['pooled']['r2']:.2f}")
print(f"no model can be above about {noise['r2_ceiling']:.2f}")

# %% [markdown]
# The distance between the score and the ceiling is what better models or more molecules could win. The rest is for better
# measurements.
#
# ### How wide at which level?
# CV+ keeps the models of its folds and the errors that they made on the molecules left out. An interval at any level is
# then a matter of sorting:


# %%
def bounds(level, model=study.model, kind=study.features):
    """Ends of the intervals: each left-out error about the prediction of its fold."""
    if model is None:
        return np.full((2, len(new)), np.nan)
    X = new_bits if kind == "bits" else features(kind, list(new.smiles))
    centre = np.array([part.predict(X) for part in model.models_])[model.fold_]
    rank = int(np.ceil((len(data) + 1) * level)) - 1
    low = -np.sort(model.errors_[:, None] - centre, axis=0)[rank]
    return low, np.sort(centre + model.errors_[:, None], axis=0)[rank]


LEVELS = [0.5, 0.7, 0.8, 0.9, 0.95]
at = {level: bounds(level) for level in LEVELS}


def show_intervals(level=0.9):
    low, high = at[level]
    inside = (
        study.predictions["in_domain"].to_numpy() if study.model else np.ones(len(new), bool)
    )
    order = np.argsort(low + high)
    ax = plt.subplots(figsize=(7.2, 3.8), layout="constrained")[1]
    for known, colour, name in (
        (True, plots.COLOURS[0], "inside"),
        (False, plots.COLOURS[1], "outside"),
    ):
        place = np.flatnonzero(inside[order] == known)
        rows = order[place]
        ax.vlines(
            place,
            low[rows],
            high[rows],
            color=colour,
            linewidth=2.5,
            label=f"{name} the domain",
        )
    ax.set_xlabel("candidate, by the middle of its interval")
    ax.set_ylabel(f"heat of sublimation ({data.units})")
    ax.set_title(f"Intervals that should hold {level:.0%} of new molecules", fontsize=11)
    ax.legend(fontsize=8, frameon=False, loc="upper left")
    return np.mean(high - low)


# %% tags=["nbval-check-output"]
print(f"mean width at 90 %: {show_intervals():.0f} {data.units}")
low, high = at[0.9]
print(f"highest lower end: {low.max():.0f}; lowest upper end: {high.min():.0f} {data.units}")

# %% [markdown]
# **Figure:** One vertical line a candidate, its 90 % interval in kJ/mol, in the order of the intervals' middles. Colours
# tell candidates inside the domain from those outside. The highest lower end lies below the lowest upper end, so every
# interval overlaps every other: the order is the best guess, and at this level no two candidates are told apart.

# %% tags=["widget", "nbval-ignore-output"]
interactive(show_intervals, level=LEVELS)

# %% [markdown]
# ### What to measure next
# You have a week, enough for a few more measurements. Which candidates? Where the model states its doubt, the report takes
# those of the largest expected improvement, as one batch (lesson 07); else those of the best prediction. It looks for
# large values; `maximise=False` turns it round. The call alone, for a model of your own, is
# `course_lib.acquire.suggest(model, measured, candidates, k)`.

# %% tags=["nbval-check-output"]
suggested = study.suggestions
if suggested is not None:
    inside = dict(zip(study.predictions["smiles"], study.predictions["in_domain"], strict=True))
    print(f"prediction and standard deviation of a new measurement in {data.units};")
    print("the most similar molecule of the table (its value; Tanimoto similarity)")
    for row in suggested.itertuples():
        print(
            f"{row.smiles[:28]:29} {row.mean:4.0f} +- {row.std:2.0f}; most like "
            f"{row.nearest[:18]:19} ({row.nearest_value:.0f}; {row.similarity:.2f})"
            f"{'' if inside[row.smiles] else ' OUTSIDE'}"
        )
    print(f"OUTSIDE: further than the limit of the domain, {numbers['domain']['limit']:.2f}")
    for row in suggested.attrs["left_out"]:
        print(f"left out: {row['smiles'][:28]:29} {row['reason']}")

# %%
if suggested is not None:
    ax = plots.molecules(
        suggested["smiles"],
        [
            f"{row.mean:.0f} +- {row.std:.0f} {data.units}\nsimilarity {row.similarity:.2f}"
            for row in suggested.itertuples()
        ],
        columns=3,
        title="To measure next, in this order",
    )

# %% [markdown]
# **Figure:** the structures of the suggested candidates in the order of picking, each over its predicted heat of
# sublimation with the standard deviation of a new measurement, in kJ/mol, and its Tanimoto similarity to the most similar
# molecule of the table. Where the similarity is low, the model guesses: look whether *you* would measure that molecule.
#
# After the week, add the new rows to the table and run the report again. Do not add only those that turned out well.

# %% [markdown]
# ## 5 Read it as a sceptical colleague
#
# ### Exercise 10.4: what may be said
# Which of these sentences does such a page support? Give a set of letters.
#
# - **a** "The next candidate lies in its 90 % interval with a probability of 90 %."
# - **b** "On molecules like those left out, the recommended model is better than the mean of the values."
# - **c** "The model will do as well on any class of molecules."
# - **d** "As noisy as these values are, no model can reach an R2 of 1 on them."
# - **e** "With twice the molecules the error will be what the page says."

# %% tags=["exercise"]
may_be_said = ...

# %%
check("10.4", may_be_said)

# %% tags=["solution"]
# Solution 10.4 (unfold me when you have tried)
may_be_said_solution = {"b", "d"}
check("10.4", may_be_said_solution)

# %% [markdown]
# ### Report this
# The page ends with what others need in order to judge it: the five principles of the OECD (endpoint, algorithm, domain,
# measures, mechanism), the noise ceiling, the **provenance** (which file, by its checksum; which versions; which seed)
# and a **model card**: what the model is for, what it is not for, and who answers for it. The last line you must write
# yourself.
#
# ## Spot the leak
#
# A colleague skips the merging. "More rows are better, so I keep the replicates as rows of their own, and I test by
# random folds of rows, with the nearest neighbour as my model." We repeat his test with more replicates: every molecule is
# measured twice, each time with the noise that the report found.
#
# > **Predict first.** Split by molecule the nearest neighbour has a certain error. What share of it will the colleague find
# > (in per cent)?

# %% tags=["predict"]
my_prediction = ...  # per cent


# %% tags=["leak-lab", "nbval-check-output"]
def nearest_neighbour_error(X, y, splits):
    missed = []
    for train, test in splits:
        model = KNeighborsRegressor(1, metric="jaccard").fit(X[train], y[train])
        missed.append(np.abs(model.predict(X[test]) - y[test]))
    return np.concatenate(missed).mean()


twice = np.tile(data.y, 2) + rng.normal(scale=noise["sd"], size=2 * len(data))
X = morgan([*data.smiles, *data.smiles]).to_numpy(dtype=bool)
molecule = np.tile(data.groups, 2)
of_rows = list(KFold(5, shuffle=True, random_state=0).split(X))
by_row = nearest_neighbour_error(X, twice, of_rows)
folds = GroupKFold(5, shuffle=True, random_state=0).split(X, groups=molecule)
by_molecule = nearest_neighbour_error(X, twice, folds)
show_prediction(my_prediction, 100 * by_row / by_molecule, units="%")
has_twin = [np.isin(molecule[test], molecule[train]) for train, test in of_rows]
print(f"test rows whose twin is a training row: {np.concatenate(has_twin).mean():.0%}")

# %% [markdown]
# Most test rows have their twin in training, and the nearest neighbour finds it. What the colleague measured is his
# repeatability, not his model. Merge first, or split by molecule.
#
# ## 6 Now yours
#
# Give a path, or use the button. The report is written beside your file, and with the button into the folder of this
# notebook; open the `.html` that is printed. On your own computer nothing leaves it. On Binder or Codespaces the file goes
# to their server: use no confidential table there.

# %%
my_file = ...  # for instance "my_table.xlsx"
my_target = None  # the column of the values, for instance "Tm (K)"; None: it is guessed
my_candidates = None  # a second file, of molecules to choose from; None: without


def my_report(path, target=None, candidates=None, folder=None):
    """Report on one's own file, beside it or elsewhere; a fault of it is said in one line."""
    path = Path(path)
    out = Path(folder or path.parent) / f"{path.stem}_report.html"
    try:
        print(report(path, target, candidates=candidates, out=out.resolve(), quick=True))
    except TableError as error:
        print(error)


if my_file is not ...:
    my_report(my_file, my_target, my_candidates)

# %% [markdown]
# What happens to a file that cannot be used? It says so:

# %% tags=["nbval-check-output"]
(folder / "names.csv").write_text("compound,value\nbenzene,1.5\ntoluene,2\nphenol,7\n")
try:
    read_table(folder / "names.csv")
except TableError as error:
    print(fill(str(error), 94))

# %% tags=["widget", "nbval-ignore-output"]
upload(lambda path: my_report(path, my_target, my_candidates, folder=Path.cwd()))

# %% [markdown]
# ## Quiz

# %% tags=["quiz"]
quiz("10")

# %% [markdown]
# ## What we claimed and what we measured
#
# This lesson decides no claim of the lecture. It claims something of its own tool: on pure noise the report seldom
# recommends a model, on a strong signal it does, and its intervals hold their level. `benchmarks/report.py` puts that to
# the test: 60 molecules with planted values, and five of the course's sets with 100 molecules to learn from.

# %% tags=["nbval-check-output"]
tried = full_run("bench_report_verdicts")
print("a model recommended:")
for planted, verdicts in tried.groupby("values")["verdict"]:
    print(f"  {planted:17} in {(verdicts == 'recommended').sum()} of {len(verdicts)} draws")
held = full_run("bench_report_coverage")
print("share of left-out molecules in their 90 % interval, mean of 20 splits")
held = held.pivot_table(index="set", columns="model", values="coverage")
print_table(held.rename_axis(None), "{:.1%}")

# %% [markdown]
# None of 40 draws of noise led to a recommendation. So few draws show that it happens in fewer than about 7 % of cases,
# not that it never does. The comparison with the mean turned all of them down by itself: scrambling was never needed, and
# these draws do not show what it adds.
#
# Where the share is above the level, the intervals are wider than they need be: an interval of CV+ allows for models that
# learned from fewer molecules than the final one.

# %% tags=["nbval-check-output"]
if study.recommended:
    print(f"today: stated {interval['level']:.0%}, measured {interval['coverage']:.0%}")
    print(f"       ({interval['coverage_low']:.0%} to {interval['coverage_high']:.0%})")
else:
    print("today: no model was recommended")

# %% [markdown]
# ## Take-away
#
# > Account for every row. Test as you will ask. Doubt the signal first, and the model second. State the interval, where
# > it holds, and how good any model could be. Then a colleague can use your number, or refuse it for a good reason.

# %% [markdown]
# ## References
#
# - OECD, *Guidance document on the validation of (quantitative) structure-activity relationship models*, Series on Testing
#   and Assessment 69, ENV/JM/MONO(2007)2.
# - Artrith, Butler, Coudert, Han, Isayev, Jain & Walsh, *Best practices in machine learning for chemistry*, Nature
#   Chemistry 13 (2021) 505-508.
# - Kapoor et al., *REFORMS: consensus-based recommendations for machine-learning-based science*, Science Advances 10 (2024)
#   eadk3452.
# - Mitchell et al., *Model cards for model reporting*, FAT* (2019) 220-229.
# - Rücker, Rücker & Meringer, *y-Randomization and its variants in QSPR/QSAR*, J. Chem. Inf. Model. 47 (2007) 2345-2357.
# - Barber, Candès, Ramdas & Tibshirani, *Predictive inference with the jackknife+*, Annals of Statistics 49 (2021)
#   486-507.
# - Nadeau & Bengio, *Inference for the generalization error*, Machine Learning 52 (2003) 239-281.

# %% [markdown] tags=["instructor"]
# ## Instructor notes
#
# <details>
# <summary>Timings, what goes wrong, what to ask</summary>
#
# | part | minutes |
# |---|---|
# | 1: every row is accounted for | 8 |
# | Exercise 10.1 | 5 |
# | 2: a split for the use | 5 |
# | Exercise 10.2 | 5 |
# | 3: signal or chance | 5 |
# | Exercise 10.3 | 6 |
# | 4: the whole report, slider, what next | 10 |
# | 5: exercise 10.4 | 6 |
# | Spot the leak | 5 |
# | 6: own files | 3 |
# | Quiz | 2 |
#
# - Ask everybody the day before to bring a table. Half of them hold names; keep PubChem open.
# - In exercise 10.1 many answer with a position. Rows of a file are what one can say over the telephone.
# - Section 2: let somebody defend the random split. With candidates as close as these it is the right one.
# - Section 4 takes half a minute. Let the class guess meanwhile whether the winner beats the best simple baseline.
# - In exercise 10.4 sentence a is the one that most people defend. Ask for the difference between "of all" and "of this".
# - With 90 minutes for a first workshop: sections 1 and 4, and exercise 10.4 in pairs, each arguing against the page.
#
# </details>
