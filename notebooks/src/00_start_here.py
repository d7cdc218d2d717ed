# %% [markdown]
# # 00 Start here
#
# You will see what this course asks, check that everything is installed, and learn how a lesson works by doing a
# small one.

# %% [markdown]
# > **In this lesson**
# > - **Objectives:** run a lesson and its checks; say why one score on a small test set is not a fact about a model;
# >   read the table of claims; find a term in English and Japanese
# > - **Prerequisites:** some Python (pandas indexing, a scatter plot), what a variance and a residual are
# > - **Teaching:** 9 min
# > - **Exercises:** 6 min
# > - **Claims:** none
# > - **Recap:** Nothing is needed from elsewhere. If the check of section 2 ends in a to-do, do that first.
# > - **Run time:** FAST a few seconds; there is no FULL run of this lesson

# %%
import numpy as np

from course_lib.teaching import (
    check,
    check_installation,
    fast,
    glossary,
    interactive,
    ledger,
    quiz,
    show_prediction,
)
from course_lib.teaching.demos import TRUE_ERROR, score_histogram, simulated_scores

# %% [markdown]
# ## 1 What this course asks
#
# A laboratory has measured a property of forty molecules. Someone trains a model and says: "its error is 30 K". The
# whole course is about one question to that sentence: **how far can I trust this number?**
#
# Three public lectures answer it for data sets of tens to hundreds of measurements: one on data augmentation with the
# shapes of molecules, one on auxiliary data sets and on models that state their uncertainty, one on Bayesian neural
# networks. They make 26 claims between them. The course repeats none of them on trust: each has a rule that was
# written down before the experiment that decides it, and section "What we claimed and what we measured" of each
# lesson says how it came out: the claim holds, it does not hold, or the data are too few to tell.
#
# The lessons:
#
# - [01 Why small data fails](01_why_small_data_fails.ipynb): one small table, three models, and scores that jump
# - [02 Conformer augmentation](02_conformer_augmentation.ipynb): many rows out of one molecule
# - [03 Group k-fold and LightGBM](03_group_kfold_lightgbm.ipynb): a score that is too good, and what is left of it
# - [04 Kinds of uncertainty](04_kinds_of_uncertainty.ipynb): what a model does not know, what nobody can, and when it is wrong and sure
# - [05 Calibration](05_calibration.ipynb): a model says "give or take 8"; does it keep its word?
# - [06 MolGroup](06_molgroup.ipynb): other tables at hand; which of them help, and which hurt?
# - [07 Bayesian optimisation](07_bayesian_optimisation.ipynb): which bottle next, and what was the doubt worth?
# - [08 Generalisation and data size](08_generalisation.ipynb): new in what way, and how many molecules does it take?
# - [09 Bayesian neural networks](09_bayesian_neural_networks.ipynb): a score with a distribution, and a doubt that should warn of bad days
# - [10 Your own data](10_your_own_data.ipynb): from a messy table to a page that a colleague can read, doubt and use
#
# If you have 90 minutes: this lesson, lesson 01, and the leak of lesson 03.

# %% [markdown]
# ## 2 Is everything there?
#
# Run the next cell (Shift + Enter). It names what is missing and says what to do about it.

# %%
check_installation()

# %% [markdown]
# ## 3 Predict, run, explain
#
# Most steps of a lesson have three parts: you **predict**, you **run**, and the text **explains**. A first example:
#
# We make up a model whose mean absolute error, over all molecules in the world, is exactly known. We test it on ten
# molecules, as one does when there are only forty. Then we do the same with ten other molecules, and others again,
# two thousand times.
#
# > **Predict first.** Nine scores in ten will lie between a lower and an upper end. The true error is 30 K.
# > Where is the **upper** end? Replace the three dots by a number, then run the cell and the one below it.

# %% tags=["predict"]
my_prediction = ...  # kelvin

# %% tags=["nbval-check-output"]
scores = simulated_scores(n_test=10)
lower, upper = np.percentile(scores, [5, 95])
print(
    f"true error {TRUE_ERROR:.0f} K; nine scores in ten lie between {lower:.1f} K and "
    f"{upper:.1f} K"
)
show_prediction(my_prediction, upper, units="K")

# %% [markdown]
# It is one and the same model each time, and nothing about it changed. A colleague with luck reports the lower end,
# one without luck the upper one, and both did everything right. **The score of a small test set is itself a
# measurement with a large error.** Whoever compares two models by one such score each compares mostly the luck.

# %% tags=["nbval-check-output"]
ax = score_histogram(n_test=10)
print(f"largest score / smallest score of 2000 test sets: {scores.max() / scores.min():.1f}")

# %% [markdown]
# **Figure:** Histogram of the mean absolute errors that one model gets on two thousand test sets of ten molecules
# each. The scores pile up around the true error of 30 K, marked by a black line, and a shaded band holds nine of ten;
# the right tail is longer than the left.
#
# Some pictures have sliders. The picture above is what you see on a static page; below it, in Jupyter, you can move
# the number of test molecules. How many does it take until the band is as narrow as you would like?

# %% tags=["widget"]
interactive(score_histogram, n_test=(5, 200, 5))

# %% [markdown]
# ## 4 Exercises, checks and folded solutions
#
# An exercise has three cells: a stub with `...` for your answer, a check, and a solution that is folded. In
# JupyterLab click the blue bar or the three dots beside a folded cell to open it. The check says `not attempted yet`
# until you replace the dots; a wrong answer gets a diagnosis; a right one an explanation. Try a wrong answer on
# purpose, once.
#
# ### Exercise 0.1: mean absolute error
# Five polymers, their measured glass transition temperatures and what a model predicted. What is the mean absolute
# error?

# %%
measured = np.array([350, 373, 300, 410, 285])  # kelvin
predicted = np.array([360, 353, 330, 410, 245])

# %% tags=["exercise"]
mean_absolute_error = ...

# %%
check("0.1", mean_absolute_error)

# %% tags=["solution"]
# Solution 0.1 (unfold me when you have tried)
check("0.1", np.abs(predicted - measured).mean())

# %% [markdown]
# ### Exercise 0.2: nine in ten
# Write the function that gives the two ends between which nine scores in ten lie, one in twenty being below and one
# in twenty above. It takes an array of scores and returns two numbers.


# %% tags=["exercise"]
def middle_90(scores): ...


# %%
check("0.2", middle_90)


# %% tags=["solution"]
# Solution 0.2 (unfold me when you have tried)
def middle_90_solution(scores):
    return np.percentile(scores, [5, 95])


check("0.2", middle_90_solution)

# %% [markdown]
# ### Exercise 0.3: what precision costs
# With ten test molecules the scores have a certain spread. About how many molecules does it take for **half** that
# spread? The slider of section 3 helps.

# %% tags=["exercise"]
molecules_for_half_the_spread = ...

# %%
check("0.3", molecules_for_half_the_spread)

# %% tags=["solution"]
# Solution 0.3 (unfold me when you have tried)
check("0.3", 4 * 10)
for n_test in (10, 40):
    print(f"{n_test} molecules: spread {simulated_scores(n_test).std():.1f} K")

# %% [markdown]
# ## 5 FAST and FULL
#
# What you run here is **FAST**: small versions that finish while you read. The tables that decide claims come from
# **FULL** runs that take hours (`make reproduce`); their results are in the folder `results/`, and the lessons read
# them from there. A FAST figure beside a FULL one is called an *illustration*: it may differ, and it decides nothing.

# %% tags=["nbval-check-output"]
print("FAST" if fast() else "FULL")

# %% [markdown]
# ## 6 Words
#
# The lectures are in Japanese. The glossary gives each term in both languages, with a plain definition and the lesson
# that explains it. `glossary("overfitting")` or `glossary("過学習")` looks one up; `glossary()` lists all.

# %%
glossary(lesson="00")

# %%
glossary("過学習")

# %% [markdown]
# ## Quiz

# %% tags=["quiz"]
quiz("00")

# %% [markdown]
# ## What we claimed and what we measured
#
# This lesson tests no claim. Here is the ledger of all 26: the lesson that tests each, the margin that its figure
# must pass, and what the full run found. A claim "not decided yet" waits for its full run, which takes hours or days.

# %% tags=["nbval-check-output"]
table = ledger()
print(
    table[["lesson", "margin", "estimate", "low", "high", "verdict"]]
    .round(3)
    .to_string(na_rep="-")
)

# %% [markdown]
# ## Take-away
#
# > A score is a measurement. Ask how far it would have moved with other test molecules before you believe it, and
# > before you compare it with another.

# %% [markdown]
# ## References
#
# - Masaki Open Lab, *Data science intensive course, intermediate: how to use advanced machine learning with small
#   molecular data sets* (lecture slides, in Japanese). Claims A1 to A6.
# - T. Inoue, Elix, Inc., *Training predictive models on small data sets*, AIDD Wednesday, 22 May 2024 (slides, in
#   Japanese). Claims B1 to C8.
# - habakan, *Turning the NN starter model into a Bayesian NN*, Numerai Meetup Japan, 18 December 2021 (slides, in
#   Japanese). Claims D1 to D7.

# %% [markdown] tags=["instructor"]
# ## Instructor notes
#
# <details>
# <summary>Timings, what goes wrong, what to ask</summary>
#
# | part | minutes |
# |---|---|
# | 1 and 2: what the course asks, installation | 3 |
# | 3: predict, run, explain, with the slider | 4 |
# | 4: exercises 0.1 to 0.3 | 6 |
# | 5 and 6, quiz, ledger | 2 |
#
# - Have everybody run section 2 before the class: a missing package costs ten minutes, a missing OpenMP library on
#   macOS more.
# - Collect the predictions of section 3 on a board before anyone runs the cell. Most are too close to 30 K.
# - In exercise 0.2 the mean plus or minus a multiple of the standard deviation is the usual first answer. It is a
#   good one to discuss: when is it enough?
# - Ask at the end: which number that you saw last month came from a test set of ten?
#
# </details>
