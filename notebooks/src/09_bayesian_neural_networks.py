# %% [markdown]
# # 09 Bayesian neural networks
#
# Give every weight of a network a distribution, and its score becomes a distribution too. You will draw it, watch a prior
# act as a regulariser, ask whether a model's doubt announces its bad days, and find published numbers that cannot be.

# %% [markdown]
# > **In this lesson**
# > - **Objectives:** score a model era by era; say how far the seed alone moves a score; draw the posterior of a score and
# >   compare an ensemble with its members; show that a normal prior is an L2 penalty and a Laplace prior an L1 penalty;
# >   test whether a predictive spread announces bad eras; check a published number against a bound
# > - **Prerequisites:** lessons 03 and 04; a neural network, a rank correlation, a standard deviation
# > - **Teaching:** 60 min
# > - **Exercises:** 30 min
# > - **Claims:** D1, D2, D3, D4, D5, D6, D7
# > - **Recap:** Lesson 03 kept all rows of a molecule on one side of every split. Lesson 04 met models that state two kinds
# >   of doubt, a Bayesian network among them. Here we take that network apart.
# > - **Run time:** FAST within 60 s and 1 GB (120 s with an empty cache); FULL (make reproduce) hours
#
# Sections 1 to 5, the leak lab and the quiz are the core and take 60 minutes. Sections 6 to 8 go further.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.linear_model import Lasso, LinearRegression, Ridge

from course_lib.datasets import load
from course_lib.evaluate import t_interval
from course_lib.featurize import mordred2d
from course_lib.models import BNNRegressor
from course_lib.panel import (
    EraNetwork,
    burn_detection,
    era_scores,
    jensen_shannon,
    map_weights,
    published,
    score_posterior,
    sharpe,
    simulate,
    symmetric_kl,
)
from course_lib.plots import COLOURS
from course_lib.results import full_run
from course_lib.settings import progress
from course_lib.splits import assert_no_leak, cluster_labels
from course_lib.teaching import check, claim, fast, interactive, quiz, show_prediction

N_SEEDS = 5 if fast() else 10
N_SAMPLES = 150 if fast() else 1000
N_STEPS = 300 if fast() else 1200


# %% [markdown]
# ## 1 A tournament where almost nothing can be known
#
# Numerai is a fund that gives away its data and pays for predictions. A row is a stock in a week, the columns have no
# names, and the target says how the stock did in the 20 days that follow. All rows of one week are an **era**. In 2021 a
# participant, habakan, turned the tournament's starter network into a Bayesian one and told in a talk what came of it. The
# talk's claims are the subject of this lesson.
#
# The data may not be passed on. So we make our own, by a model that is written down in the help of `simulate`: 38
# features in groups that correlate; a weak signal; and in each era an **effect**, the strength with which the signal
# acts. Now and then the effect is *negative*: what was good is bad. Such an era is called a **burn era**. We know
# the truth, so we can see who finds it. (If you have the real files: `load_numerai` reads them.)
#
# One thing is kinder than at the tournament. There, hundreds of thousands of rows bear a correlation of about two
# hundredths. What can be learned grows with the rows, and with the *square* of the correlation. So with a hundred times
# fewer rows we need a signal about ten times stronger. The full run has weaker ones too.

# %% tags=["nbval-check-output"]
MAIN = "alpha_20"  # one kind of target, over 20 days
panel = simulate(n_eras=56, n_rows=200, signal=0.3, random_state=0)
train, valid = panel.split(20)  # the first eras to learn from, the later ones to validate
y = valid.targets[MAIN].to_numpy()
burns = valid.truth["burn"].to_numpy()
print(f"{len(train)} rows in 20 eras to learn from, {len(valid)} rows in 36 eras to validate")
print(f"{len(panel.features)} features; {burns.sum()} of the 36 validation eras burn")

# %% [markdown]
# A prediction is scored by its **rank correlation** with the target, era by era. The mean over eras is the score. The
# mean divided by the standard deviation over eras is the **Sharpe ratio**: how steady it is.
#
# > **Predict first.** Somebody knows the signal exactly, but not when its effect will turn. What mean rank correlation do
# > they reach?

# %% tags=["predict"]
my_prediction = ...  # a rank correlation, between -1 and 1

# %% tags=["nbval-check-output"]
of_truth = era_scores(valid.signal[:, 0], y, valid.eras)
show_prediction(my_prediction, of_truth.mean())
negative = (of_truth < 0).to_numpy()
print(f"Sharpe ratio {sharpe(of_truth):.2f}")
print(f"best era {of_truth.max():.3f}, worst era {of_truth.min():.3f}")
print(f"eras with a negative score: {negative.sum()}, of which {negative[burns].sum()} burn")

# %%
figure, ax = plt.subplots(figsize=(8.6, 3.6), layout="constrained")
for name, where, colour, hatch in (
    ("other eras", ~burns, COLOURS[0], ""),
    ("burn eras", burns, COLOURS[1], "///"),
):
    look = {"color": colour, "hatch": hatch, "edgecolor": "black", "linewidth": 0.6}
    ax.bar(of_truth.index[where], of_truth[where], label=name, **look)
ax.axhline(of_truth.mean(), color="black", linestyle="--", linewidth=1, label="mean over eras")
ax.set(xlabel="era", ylabel="rank correlation", title="Scores of somebody who knows the signal")
legend = ax.legend(ncols=3, loc="upper left", bbox_to_anchor=(0, -0.18))

# %% [markdown]
# **Figure:** a bar for each validation era, its rank correlation upwards. Most bars point up, of quite different heights;
# those of the burn eras, hatched, point down. A dashed line marks the mean, above zero.
#
# Nobody can do better on average than to know the signal, and even so some eras are lost. At the tournament a mean of a few
# *hundredths* is good: paid out over many stocks and many weeks it is worth money. It is also so small that a network may
# learn anything but this.
#
# ### Exercise 9.1: the score
# Write the function that scores a prediction. `prediction`, `y` and `eras` are arrays with one value a row. Return two
# numbers: the mean over eras of the rank correlation within the era, and the Sharpe ratio.


# %% tags=["exercise"]
def score(prediction, y, eras): ...  # return mean, ratio


# %%
check("9.1", score)


# %% tags=["solution"]
# Solution 9.1 (unfold me when you have tried)
def score_solution(prediction, y, eras):
    table = pd.DataFrame({"prediction": prediction, "y": y})
    ranks = table.groupby(eras).rank()
    by_era = [part["prediction"].corr(part["y"]) for _, part in ranks.groupby(eras)]
    return np.mean(by_era), np.mean(by_era) / np.std(by_era)


check("9.1", score_solution)

# %% [markdown]
# ## 2 The same network, another seed
#
# The study's **baseline** is a plain network: squared error, thirty rounds through the data, and nothing to hold it
# back. It has three hidden layers of 128, 64 and 64 units. Ours has one of 32, as the Bayesian networks below must train in
# seconds, and both are to have the same size; the full run uses the study's. A seed decides the first weights and the
# order of the rows. Nothing else differs between the next networks.
#
# > **Predict first.** How far apart are the best and the worst of the seeds, as a share of their mean score?

# %% tags=["predict"]
my_prediction = ...  # per cent of the mean score

# %%
HIDDEN = (32,)
by_epoch, members = [], []  # scores after each epoch are for the leak lab
for seed in progress(range(N_SEEDS), "seeds"):
    on_the_way = []

    def look(model, on_the_way=on_the_way):
        on_the_way.append(era_scores(model.predict(valid.X), y, valid.eras).to_numpy())

    network = EraNetwork(HIDDEN, random_state=seed).fit(train.X, train.targets[MAIN], look)
    members.append(network.predict(valid.X))
    by_epoch.append(on_the_way)
by_epoch = np.array(by_epoch)  # shape (seeds, epochs, eras)
baseline = by_epoch[:, -1].mean(axis=1)
show_prediction(my_prediction, 100 * (baseline.max() - baseline.min()) / baseline.mean(), "%")
print("scores of the seeds:", " ".join(f"{s:.4f}" for s in baseline))
print(f"mean {baseline.mean():.4f}, standard deviation {baseline.std(ddof=1):.4f}")
together = era_scores(np.mean(members, axis=0), y, valid.eras).mean()
print(f"score of their averaged prediction: {together:.4f}")

# %% [markdown]
# Two things to keep. First, **a single number per model mixes the seed with the idea**, until it has been repeated. Claim
# D1 says that a seed moves the score by as much as an idea does; the next section lets you compare. Second, the average of
# the networks (a *deep ensemble*, lesson 04) scores otherwise than the networks do on average. Both raise one question: if
# many networks fit the data about equally well, why keep one?

# %% [markdown]
# ## 3 A distribution of networks, a distribution of scores
#
# A **Bayesian neural network** keeps them all, each with its probability. It starts from a story of how the data came
# about:
#
# $$w \sim \text{prior}, \qquad y = f_w(x) + \text{noise}$$
#
# Each weight is drawn from a *prior distribution*, the network with these weights gives $f_w(x)$, and noise is added. What
# is known about the weights after seeing the data is the *posterior distribution*. It cannot be computed, so it is
# approximated: *variational inference* takes a normal distribution for each weight and turns its mean and width until
# the **evidence bound**
#
# $$\underbrace{\text{mean over the weights of } \log p(y \mid w)}_{\text{fit the data}} -
# \underbrace{\mathrm{KL}(\text{posterior} \,\|\, \text{prior})}_{\text{stay near the prior}}$$
#
# is as large as it gets. Every prediction is then many predictions: draw weights, predict, and draw again.
#
# The study compares three priors. **Uniform**: every weight is as likely as every other. **Normal** and **Laplace**:
# weights near zero are likelier. Their width is that of He's initial weights.

# %%
PRIORS = ("uniform", "normal", "laplace")
RATE = 0.05  # learning rate at the start; it falls to zero along half a cosine
SIZE = {"hidden": HIDDEN, "batch_size": 512, "n_steps": N_STEPS, "learning_rate": RATE}
bayesian, bounds = {}, {}
for prior in progress(PRIORS, "priors"):
    model = BNNRegressor(prior=prior, **SIZE, random_state=0)
    bayesian[prior] = model.fit(train.X, train.targets[MAIN])
    bounds[prior] = -model.history_["training"].to_numpy()  # a row, epoch by epoch
    eighths = [part.mean() for part in np.array_split(bounds[prior], 8)]
    print(f"{prior:8} evidence bound a row:", " ".join(f"{value:6.2f}" for value in eighths))

# %%
figure, ax = plt.subplots(figsize=(7.6, 3.6), layout="constrained")
for (prior, bound), colour, style in zip(
    bounds.items(), COLOURS, ("-", "--", "-."), strict=False
):
    share = 100 * np.arange(1, len(bound) + 1) / len(bound)
    ax.plot(share, bound, style, color=colour, linewidth=2, label=f"{prior} prior".capitalize())
ax.set(xlabel="training done (%)", ylabel="evidence bound (nats a row)", ylim=(-3, None))
ax.set_title("Is the training over?")
legend = ax.legend()

# %% [markdown]
# **Figure:** the evidence bound of three priors while training; the first rounds lie below the picture. The curves of the
# normal and the Laplace prior are level in the second half. The curve of the uniform prior goes on rising.
#
# The numbers above are means over the eighths of the training. As the learning rate falls to zero, *every* curve is flat at
# the end, so look at the middle, where the rate is still one half: a curve that is level there has arrived.
#
# The uniform prior's cannot arrive. Make all weights into a hidden unit ten times larger and the weight out of it ten
# times smaller. The network computes the same, but its posterior has become wider in many directions and narrower in
# one, and no prior objects. So the bound rises without end, there is no best posterior, and **when one stops is part of
# the model**. (Nor can the bounds of two priors be compared if one of them is uniform: it has no height.)
#
# Now the study's main idea. Draw many networks from the posterior and score **each one**. The result is not a score but a
# *distribution of scores*. Only one prediction has to be held at a time. Beside it, as the study has it, the score of the
# *averaged* prediction, the ensemble.
#
# > **Predict first.** Under the normal prior: by how much does the averaged prediction score above the mean of the
# > samples' scores? (The scores of section 2 tell you the order of size.)

# %% tags=["predict"]
my_prediction = ...  # difference of two rank correlations

# %%
posterior = {}
for prior, model in progress(bayesian.items(), "scores"):
    samples = model.sample_functions(valid.X, N_SAMPLES, random_state=0)
    posterior[prior] = score_posterior(samples, y, valid.eras)
gain = {
    prior: found.eras.mean() - found.samples["correlation"].mean()
    for prior, found in posterior.items()
}
show_prediction(my_prediction, gain["normal"])
print(f"{'':10} averaged   single samples    Sharpe: averaged   single samples")
for prior, found in posterior.items():
    one, ratio = found.samples["correlation"], found.samples["sharpe"]
    print(
        f"{prior:10} {found.eras.mean():8.4f}   {one.mean():.4f} ± {one.std():.4f}   "
        f"{sharpe(found.eras):16.2f}   {ratio.mean():.2f} ± {ratio.std():.2f}"
    )
one, deviation = baseline.mean(), baseline.std(ddof=1)
print(f"{'baseline':10} {together:8.4f}   {one:.4f} ± {deviation:.4f} (over seeds)")

# %%
figure, panels = plt.subplots(3, 1, figsize=(7.6, 7.2), sharex=True, layout="constrained")
for (prior, found), ax, colour in zip(posterior.items(), panels, COLOURS, strict=False):
    ax.hist(found.samples["correlation"], bins=25, color=colour, edgecolor="white")
    ax.axvline(found.eras.mean(), color="black", linewidth=2, label="averaged prediction")
    ax.plot(baseline, np.zeros(N_SEEDS), "D", color=COLOURS[3], markeredgecolor="black",
            clip_on=False, label="baseline, one mark a seed")  # fmt: skip
    ax.set(title=f"{prior} prior".capitalize(), ylabel="samples")
panels[-1].set_xlabel("mean over eras of the rank correlation")
legend = panels[0].legend(fontsize=9)

# %% [markdown]
# **Figure:** three histograms, one a prior, of the scores of single posterior samples along one axis of rank
# correlation. A vertical line marks the score of the averaged prediction; diamonds on the axis mark the seeds of the
# baseline.
#
# Claim D2: the average beats its members. Where members err independently, their errors cancel and what they share stays.
# Claim D3: the Bayesian network beats the point network. Read it with care. The fair rival of an average over a posterior
# is an average over seeds, which the last line of the table gives. And both should train at the same learning rate. In the
# study it was ten times *smaller* for the Bayesian networks; today it is larger for them, or they would not arrive. Either
# way two things are mixed, so the next cell also trains the baseline at the Bayesian networks' rate.

# %%
same_rate = np.mean(
    [
        era_scores(
            EraNetwork(HIDDEN, learning_rate=RATE, random_state=seed)
            .fit(train.X, train.targets[MAIN])
            .predict(valid.X),
            y,
            valid.eras,
        ).mean()
        for seed in range(2 if fast() else 10)
    ]
)
means = [baseline.mean(), *(found.eras.mean() for found in posterior.values())]
gaps = [abs(a - b) for i, a in enumerate(means) for b in means[:i]]
claim("D1").illustrate(baseline.std(ddof=1) / np.median(gaps))
claim("D2").illustrate(gain["normal"], uniform=gain["uniform"], laplace=gain["laplace"])
averaged = posterior["uniform"].eras.mean()
claim("D3").illustrate(averaged - same_rate, at_unequal_rates=averaged - baseline.mean())

# %% [markdown]
# And the study's own table? The next cell prints it, and beside it the same figures from
# simulated panels, with 95 % intervals over panels. **They are not the study's data**, so the two columns need not agree. The
# question is whether the same conclusions come out. The full run has the study's network, far larger than today's, and
# trains it for a set number of steps. In these so large a network does not arrive: its bound ends well below that of the
# small one. So read its figures as those of "this model, trained for so long".

# %% tags=["nbval-check-output"]
study = published()
compared = full_run("panel_compared").fillna({"prior": ""}).dropna(subset=["estimate"])


def beside(table, measure, title, digits=4):
    """Print the study's figures of a table, and the full run's beside them."""
    print(f"{title:34} published   simulated panels")
    part = study[(study["table"] == table) & (study["measure"] == measure)]
    for row in part.itertuples():
        line = f"  {row.model:22} {row.prior:9} {row.value:9.{digits}f}"
        names = ["table", "model", "prior", "measure"]
        same = (compared[names] == [table, row.model, row.prior, measure]).all(axis=1)
        for ours in compared[same].itertuples():
            found = (ours.estimate, ours.low, ours.high)
            line += "   {} [{}, {}]".format(*(f"{value:.{digits}f}" for value in found))
        print(line)


beside("ensemble", "correlation", "averaged: rank correlation")
beside("ensemble", "sharpe", "averaged: Sharpe ratio")
beside("samples", "correlation", "single samples: their mean")
beside("samples", "correlation_sd", "single samples: their spread")

# %% [markdown]
# Two rivals are not on the slides: an average over seeds (a *deep ensemble*), and *MC dropout*, which leaves out random units
# when predicting, too, and averages. The full run has both; and, on fewer panels, networks at the smaller learning rate ("slow")
# and with four times the steps ("long").

# %% tags=["nbval-check-output"]
for name in ("panel_study", "panel_steps"):
    by_panel = full_run(name).groupby(["arm", "region", "panel"])["correlation"].mean()
    for arm, scores in by_panel.groupby("arm"):
        print(f"{arm:28} {t_interval(scores)} over {len(scores)} panels")

# %% [markdown]
# ## 4 The prior is the regulariser
#
# Why do the priors differ? Look at one point of the posterior, its top: the **most probable weights**. They make
# likelihood times prior as large as possible, so they make the *sum of the logarithms* as large as possible:
#
# | prior of a weight | its logarithm, up to a constant | known as a penalty |
# |---|---|---|
# | normal, scale $s$ | $-w^2 / 2s^2$ | L2, ridge |
# | Laplace, scale $s$ | $-\sqrt{2}\,\lvert w\rvert / s$ | L1, lasso |
# | uniform | $0$ | none, least squares |
#
# Is it so in numbers? One linear model, two ways. Left, a search for the top of the posterior, one weight after the other,
# that knows nothing of penalties. Right, scikit-learn's penalised fits.

# %% tags=["nbval-check-output"]
rng = np.random.default_rng(1)
NOISE, SCALE, n = 0.7, 0.3, 100
inputs = rng.normal(size=(n, 5)) + 0.5 * rng.normal(size=(n, 1))
answers = inputs @ [0.8, -0.4, 0.2, 0.0, 0.0] + NOISE * rng.normal(size=n)


def penalised(prior, scale, noise, n):
    """The penalised fit that belongs to a prior."""
    if prior == "normal":
        return Ridge(alpha=noise**2 / scale**2, fit_intercept=False)
    if prior == "laplace":  # scikit-learn's lasso divides the squared error by 2n
        alpha = np.sqrt(2) * noise**2 / (scale * n)
        return Lasso(alpha=alpha, fit_intercept=False, tol=1e-8, max_iter=100_000)
    return LinearRegression(fit_intercept=False)


differences = {}
for prior in PRIORS:
    top = map_weights(inputs, answers, prior=prior, prior_scale=SCALE, noise=NOISE)
    fit = penalised(prior, SCALE, NOISE, n).fit(inputs, answers).coef_
    differences[prior] = np.abs(top - fit).max() / np.abs(fit).max()
    print(f"{prior:8}", " ".join(f"{w:6.3f}" for w in np.round(top, 3) + 0.0), end="   |")
    print("", " ".join(f"{w:6.3f}" for w in np.round(fit, 3) + 0.0))
print("largest relative difference below 0.001:", max(differences.values()) < 0.001)

# %%
claim("D6").illustrate(max(differences.values()))

# %% [markdown]
# To three digits they are the same weights. So a prior is not a mystic "belief" that one may leave out: leaving it
# out *is* a choice, the uniform prior, and its name is "no regularisation".
#
# ### Play
# Fourteen noisy points, and a function built from twelve bumps side by side, each with a weight. Choose the prior and its
# scale. Things to try: which prior sets weights to exactly zero? What does the scale do under the uniform prior? Which
# scale is best, and could you know without the dash-dotted truth?

# %%
CENTRES, GRID = np.linspace(-3, 3, 12), np.linspace(-3, 3, 200)
SCALES = [0.03, 0.1, 0.3, 1.0, 3.0]


def bumps(x):
    return np.exp(-((np.asarray(x)[:, None] - CENTRES) ** 2) / (2 * 0.5**2))


def truth(x):
    return np.sin(1.5 * x) + 0.3 * x


places = np.sort(np.random.default_rng(2).uniform(-3, 3, 14))
values = truth(places) + 0.3 * np.random.default_rng(3).normal(size=14)
computed = {
    (prior, scale): penalised(prior, scale, 0.3, 14).fit(bumps(places), values).coef_
    for prior in PRIORS
    for scale in SCALES
}


def explore(prior="normal", scale=0.3):
    weights = computed[prior, scale]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.9))
    figure.subplots_adjust(0.07, 0.14, 0.99, 0.88, wspace=0.2)
    left.plot(GRID, truth(GRID), color="black", linestyle="-.", linewidth=1.2, label="truth")
    left.plot(GRID, bumps(GRID) @ weights, color=COLOURS[0], linewidth=2, label="most probable")
    left.scatter(places, values, s=24, color=COLOURS[1], zorder=3, label="data")
    left.set(xlabel="x", ylabel="y", ylim=(-3.5, 3.5), title=f"{prior} prior, scale {scale:g}")
    left.legend(fontsize=8, loc="upper left")
    right.bar(range(12), np.clip(weights, -4, 4), color=COLOURS[2], edgecolor="black")
    right.set(xlabel="bump", ylabel="weight (cut at ± 4)", ylim=(-4, 4), title="its weights")
    return weights


# %% tags=["nbval-check-output"]
weights = explore()
for prior in PRIORS:
    zero = (np.abs(computed[prior, 0.3]) < 1e-9).sum()
    off = np.sqrt(np.mean((bumps(GRID) @ computed[prior, 0.3] - truth(GRID)) ** 2))
    print(f"{prior:8} scale 0.3: {zero:2d} of 12 weights are zero; off the truth by {off:.3g}")

# %% [markdown]
# **Figure:** left, fourteen points, the true curve (dash-dotted), and the most probable function under a normal prior of
# scale 0.3, which follows the wave; right, its twelve weights as bars, all of them moderate and none exactly zero.

# %% tags=["widget"]
interactive(explore, prior=list(PRIORS), scale=SCALES)

# %% [markdown]
# ## 5 Does doubt announce a bad era?
#
# Samples disagree more about some rows than about others. Average the standard deviation of the samples over the rows of an
# era, and each era has a **mean spread**. It needs no target, so it is known before the money is placed. If burn eras had
# a larger spread, one could sit them out. Claim D4.
#
# The measure is the *area under the ROC curve* (AUC): draw one burn era and one other era; how often has the burn era the
# larger spread? Chance is one half.
#
# > **Predict first.** What AUC will the Laplace prior, the study's best one, reach on our panel?

# %% tags=["predict"]
my_prediction = ...  # area, between 0 and 1

# %%
areas = {
    prior: burn_detection(found.spread, valid.eras, burns) for prior, found in posterior.items()
}
show_prediction(my_prediction, areas["laplace"].estimate)
for prior, area in areas.items():
    print(f"{prior:8} AUC {area}")

# %% [markdown]
# Look at the intervals: with so few burn eras they are wide. And think about *what could have been seen*. In this panel
# the effect turns its sign, and **nothing in the features tells**. A spread is computed from features alone. No prior,
# and no larger network, can find what is not there. An area away from one half is chance here.
#
# So we make a second panel that differs in one thing: in its burn eras all features lie half as far out again from their
# mean, as in a nervous market.

# %%
nervous = simulate(n_eras=56, n_rows=200, signal=0.3, burn_scale=1.5, random_state=0)
nervous_train, nervous_valid = nervous.split(20)
model = BNNRegressor(prior="laplace", **SIZE, random_state=0)
model.fit(nervous_train.X, nervous_train.targets[MAIN])
nervous_found = score_posterior(
    model.sample_functions(nervous_valid.X, N_SAMPLES // 2, random_state=0),
    nervous_valid.targets[MAIN],
    nervous_valid.eras,
)
nervous_area = burn_detection(nervous_found.spread, nervous_valid.eras, burns)
print(f"burn eras unseen in the features: AUC {areas['laplace']}")
print(f"burn eras seen in the features:   AUC {nervous_area}")
claim("D4").illustrate(
    areas["laplace"].estimate - 0.5, burn_eras_seen=nervous_area.estimate - 0.5
)

# %%
figure, panels = plt.subplots(1, 2, figsize=(9.6, 4.2), sharey=True, layout="constrained")
shown = {"unseen in the features": posterior["laplace"], "seen in the features": nervous_found}
for (title, found), ax in zip(shown.items(), panels, strict=True):
    spread = pd.Series(found.spread).groupby(valid.eras).mean()
    for name, where, colour, mark in (
        ("other eras", ~burns, COLOURS[0], "o"),
        ("burn eras", burns, COLOURS[1], "s"),
    ):
        ax.scatter(spread[where], found.eras[where], color=colour, marker=mark,
                   edgecolor="black", label=name)  # fmt: skip
    ax.axhline(0, color="grey", linewidth=1)
    ax.set(
        title=f"burn eras {title}", xlabel="mean spread of the era", ylabel="rank correlation"
    )
legend = panels[0].legend()

# %% [markdown]
# **Figure:** one mark an era: its mean spread along the bottom, the rank correlation of the averaged prediction upwards;
# squares for burn eras, circles for the others; left the first panel, right the second. At the left squares and circles
# mix along the bottom axis; at the right the squares stand apart.
#
# The same model, the same prior, the same effect on money: what differs is only whether a burn era *looks* different. So D4
# is a claim about **what burns look like**, more than about Bayes. Note also which reading is safe: a spread that grows says
# "these inputs are unusual", never "the effect has turned".
#
# The study went by another truth, as it had no other: an era burns if *this model's own score* is negative.

# %% tags=["nbval-check-output"]
beside("burn", "auc", "area for eras of negative score")
beside("burn", "n_burn", "number of such eras", digits=0)

# %% [markdown]
# ## 6 Molecules: clusters as eras
#
# The same question in chemistry. An "era" is a **cluster** of similar molecules, found from their descriptors. A model that
# has never seen a cluster ranks its molecules; a cluster that is ranked the wrong way round burns. Would you have known?
# Now the truth is not ours to choose, so a burn cluster is one with a negative rank correlation. We take octane numbers, a
# small set: in the larger ones hardly any cluster burns.

# %%
data = load("octane")
data = data.subset(np.sort(np.unique(data.groups, return_index=True)[1]))  # one row a molecule
X = mordred2d(data.smiles).to_numpy()
cluster = cluster_labels(X, n_clusters=len(data) // 15, random_state=0)
fold = np.random.default_rng(0).permutation(cluster.max() + 1)[cluster] % 3  # whole clusters
mean, spread = np.zeros(len(data)), np.zeros(len(data))
for k in progress(range(3), "folds"):
    test = fold == k
    assert_no_leak(cluster[~test], cluster[test])
    model = BNNRegressor(prior="laplace", learning_rate=RATE, n_steps=200, n_samples=100)
    parts = model.fit(X[~test], data.y[~test]).predict_parts(X[test])
    mean[test], spread[test] = parts["mean"], parts["epistemic"]
counted = np.bincount(cluster)[cluster] >= 5
by_cluster = era_scores(mean[counted], data.y[counted], cluster[counted])
cluster_spread = pd.Series(spread[counted]).groupby(cluster[counted]).mean()
wrong_way = (by_cluster < 0).to_numpy()
print(f"{len(data)} molecules in {cluster.max() + 1} clusters, {len(by_cluster)} of 5 or more")
print(f"rank correlation: mean {by_cluster.mean():.2f}, lowest {by_cluster.min():.2f}")
print(f"clusters ranked the wrong way round: {wrong_way.sum()}")
if 0 < wrong_way.sum() < len(wrong_way):
    area = burn_detection(spread[counted], cluster[counted], wrong_way)
    print(f"AUC of the mean spread for these: {area}")
ranks = by_cluster.rank().corr(cluster_spread.rank())
print(f"rank correlation between a cluster's spread and its score: {ranks:.2f}")

# %% [markdown]
# An area from so few burn clusters says next to nothing, *whatever its interval looks like*: the interval draws from the burn
# clusters that were seen, and one or two of them cannot show how different they can be. The full run takes eight sets. The
# last line uses all clusters: minus one would mean that the spread orders them perfectly. A large spread in lesson 04 said
# "far from the known". A cluster may be far away and still be ranked well, as ranking within it needs differences only.

# %% [markdown]
# ## 7 A number that cannot be
#
# How alike are two distributions of scores? The study compares networks with 0, 1, 2 and 3 hidden layers by the
# **Jensen-Shannon divergence** between normals with the means and widths of the two samples of scores. It is defined so:
# mix both in equal parts, take the Kullback-Leibler divergence of each from the mixture, and average.
#
# The published table:

# %% tags=["nbval-check-output"]
divergences = study[study["table"] == "divergence"].set_index("model")["value"]
print(divergences.to_string())

# %% [markdown]
# Before you trust a formula, try it on cases whose answer you can think of. Two equal distributions. Two that lie far
# apart. Two that lie further apart still:

# %% tags=["nbval-check-output"]
print("distance of the means   Jensen-Shannon   symmetrised Kullback-Leibler")
for d in (0, 1, 2, 4, 8, 16, 32):
    js, kl = jensen_shannon(0, 1, d, 1), symmetric_kl(0, 1, d, 1)
    print(f"{d:21d}   {js:14.4f}   {kl:28.1f}")
print(f"the natural logarithm of 2: {np.log(2):.4f}")

# %% [markdown]
# ### Exercise 9.2: which of the six cannot be?
# Give a list of the published values that no Jensen-Shannon divergence can have.

# %% tags=["exercise"]
impossible = [...]

# %%
check("9.2", impossible)

# %% tags=["solution"]
# Solution 9.2 (unfold me when you have tried)
check("9.2", [value for value in divergences if value > np.log(2)])

# %% [markdown]
# Why is there a bound? The mixture is at least half of p, everywhere. So p is nowhere larger than twice the mixture, and the
# logarithm of their ratio is at most $\ln 2$. The other divergence knows no mixture and no bound.
#
# The slides do not state the formula, so we cannot say what the five values are. The order of the pairs may be right all the
# same. It is a small slip in a generous talk, and it does not show in the numbers themselves. It shows as soon as one asks
# what the *largest possible* value is. Ask that of every measure that you meet.
#
# Now the divergences of today's three score distributions, two priors at a time; then, from the full run, both measures for
# the study's pairs of depths:

# %%
moments = {
    prior: (found.samples["correlation"].mean(), found.samples["correlation"].std())
    for prior, found in posterior.items()
}
for i, one in enumerate(PRIORS):
    for other in PRIORS[:i]:
        js = jensen_shannon(*moments[one], *moments[other])
        print(f"{other:8} and {one:8} Jensen-Shannon {js:.2f} of at most {np.log(2):.2f}")
table = compared[compared["table"] == "divergence"]
table = table.pivot(index="model", columns="measure", values="estimate")
for pair, value in divergences.items():
    js, kl = table.loc[pair, ["js", "symmetric_kl"]]
    print(f"{pair:15} published {value:.4f}; here {js:.2f}, and {kl:.2f} by symmetrised KL")

# %% [markdown]
# ## 8 Several targets, and depth
#
# The tournament has more than one target: kinds that are made from the same stocks in other ways, and a horizon of 60 days
# beside the 20. The study writes four stories of how they came about, and fits each:
#
# 1. three kinds are three measurements of one and the same mean;
# 2. three kinds have a mean each, and share the network up to its last layer;
# 3. so do the two horizons;
# 4. the 60-day mean is an input of the 20-day mean.
#
# It also takes layers away. These are many fits, so we read them from the full run.

# %% tags=["nbval-check-output"]
beside("targets", "correlation", "several targets: rank correlation")

# %% tags=["nbval-check-output"]
beside("targets", "sharpe", "several targets: Sharpe ratio")

# %% tags=["nbval-check-output"]
beside("depth", "correlation", "depth: rank correlation")

# %% [markdown]
# Claim D5 has two parts: joint training did not help the correlation, and the 60-day target helped the Sharpe ratio. Claim
# D7: the score does not grow steadily with depth. Look for both in the published columns; the single target's figures stand
# in the first table of section 3. Then, with section 2 in mind, ask what a second seed would have done to these columns.
#
# On simulated panels the gains can be taken panel by panel: each model of several targets less the single target, under the
# same prior. The claim's rule takes the uniform one; the other priors were fitted on half as many panels.

# %% tags=["nbval-check-output"]
joint, single = full_run("panel_targets"), full_run("panel_study")
unit, first = ["region", "panel"], single[single["seed"] == 0]
print(f"{'gain over the single target':32}rank correlation             Sharpe ratio")
for prior in PRIORS:
    alone = first[first["arm"] == f"BNN {prior}"].set_index(unit)
    for name, part in joint[joint["arm"] == prior].groupby("model"):
        gains = (
            t_interval((part.set_index(unit)[what] - alone[what]).dropna())
            for what in ("correlation", "sharpe")
        )
        low_high = (f"{g.estimate:+.3f} [{g.low:+.3f}, {g.high:+.3f}]" for g in gains)
        print(f"{prior:8}{name:24}" + "     ".join(low_high) + f"  {len(part)} panels")

# %% [markdown]
# The claim asks for two things at once: no gain in correlation (less than 0.001) *and* a gain in the Sharpe ratio (more than
# 0.05) where the 60-day target is used. The verdict at the end of the lesson takes the smaller of the two.
#
# Compare the priors before you explain a gain. Where the signs differ from prior to prior, the second target has not told
# the network anything that every network lacked. It may only have held a network back that nothing else did, as a uniform
# prior does not (section 4). To tell the two apart, one would fit the second target with its rows shuffled. That was not
# part of the run.

# %% [markdown]
# ## Spot the leak
#
# In the study's first table stands one more row: "baseline, best epoch". The network was scored on the validation eras after
# each of its thirty rounds, and the best round was reported. (The study says so itself, and calls it a reference value.)
# We kept these scores in section 2.
#
# > **Predict first.** Choose the best round on all validation eras, and compare with an honest choice: chosen on every
# > second era and judged on the others. By how much is the first higher?

# %% tags=["predict"]
my_prediction = ...  # difference of two rank correlations

# %% [markdown]
# ### Exercise 9.3: choose here, judge there
# `scores` is a table with one row an epoch and one column an era. `choose` and `judge` are arrays of column numbers. Choose the
# epoch with the best mean on the first, and return its mean on the second.


# %% tags=["exercise", "leak-lab"]
def honest_best(scores, choose, judge): ...


# %% tags=["leak-lab"]
check("9.3", honest_best)


# %% tags=["solution", "leak-lab"]
# Solution 9.3 (unfold me when you have tried)
def honest_best_solution(scores, choose, judge):
    best = scores[:, choose].mean(axis=1).argmax()
    return scores[best, judge].mean()


check("9.3", honest_best_solution)

# %% tags=["leak-lab"]
halves = np.arange(0, 36, 2), np.arange(1, 36, 2)
leaky = by_epoch.mean(axis=2).max(axis=1)
honest = np.array(
    [
        (honest_best_solution(s, *halves) + honest_best_solution(s, *halves[::-1])) / 2
        for s in by_epoch
    ]
)
show_prediction(my_prediction, (leaky - honest).mean())
print(f"best epoch, chosen and judged on the same eras: {leaky.mean():.4f}")
print(f"chosen on half of the eras, judged on the rest:  {honest.mean():.4f}")
print(f"last epoch, nothing chosen:                      {baseline.mean():.4f}")
print(
    "best epochs of the seeds:",
    " ".join(str(e + 1) for e in by_epoch.mean(axis=2).argmax(axis=1)),
)

# %% [markdown]
# The gap between the first two lines is the leak: the largest of thirty noisy numbers is large partly because it is the
# largest. What remains between the second line and the third is what stopping early is worth, if anything. No row of the
# training data leaked. The *choice* did. Compare the gap with the differences between the models of section 3: the weaker
# the signal, the more such a choice weighs.

# %% [markdown]
# ## Quiz

# %% tags=["quiz"]
quiz("09")

# %% [markdown]
# ## What we claimed and what we measured
#
# The verdicts come from the full run, on simulated panels over a grid that was fixed before: strength of the signal, rate
# of flips, what the targets share; for claim D4 region by region, with burn eras that can be seen and that cannot, and on
# molecules; for claim D6 on simulated regressions. Today's illustrations stand in the sections. **What holds on our
# simulator need not hold at Numerai**: we chose how burn eras look. What carries over is the way of asking.

# %% tags=["nbval-check-output"]
claim("D1").show()

# %% tags=["nbval-check-output"]
for id in ("D2", "D3"):
    claim(id).show()

# %% tags=["nbval-check-output"]
claim("D4").show()

# %% tags=["nbval-check-output"]
for id in ("D5", "D6", "D7"):
    claim(id).show()

# %% [markdown]
# Region by region, a claim may look quite different. The means over the panels of each region:

# %% tags=["nbval-check-output"]
parts = full_run("panel_claim_parts")
parts = parts[parts["claim"] != "D6"]  # decided on regressions, which have no region
parts["region"] = parts["region"].fillna("molecules")
grid = parts.pivot_table(index="region", columns="claim", values="estimate", sort=False)
digits = {"D1": 1, "D2": 4, "D3": 4, "D4": 2, "D5": 1, "D7": 4}
print(f"{'':48}" + "".join(f"{id:>8}" for id in grid.columns))
for region, row in grid.iterrows():
    values = ("" if np.isnan(row[id]) else f"{row[id]:.{digits[id]}f}" for id in grid.columns)
    name = region.replace(" / ", ", ")
    print(f"{name:48}" + "".join(f"{value:>8}" for value in values).rstrip())

# %% [markdown]
# ## Take-away
#
# > One seed is one sample: report a distribution of scores. A prior is a regulariser, and "no prior" is one too. A spread
# > warns of unusual inputs, and cannot warn of a change that the inputs do not show. And ask of every measure what its
# > largest possible value is.

# %% [markdown]
# ## References
#
# - habakan, *Turning the NN starter model into a Bayesian NN* (slides, in Japanese), Numerai Meetup Japan, 18 December 2021.
#   Claims D1 to D7.
# - Blundell, Cornebise, Kavukcuoglu & Wierstra, *Weight uncertainty in neural networks*, ICML (2015).
# - Neal, *Bayesian Learning for Neural Networks*, Springer (1996).
# - Bingham et al., *Pyro: deep universal probabilistic programming*, Journal of Machine Learning Research 20 (2019) 1-6.
# - He, Zhang, Ren & Sun, *Delving deep into rectifiers*, ICCV (2015). The width of the priors.
# - Coker, Bruinsma, Burt, Pan & Doshi-Velez, *Wide mean-field Bayesian neural networks ignore the data*, AISTATS (2022).
# - Lakshminarayanan, Pritzel & Blundell, *Simple and scalable predictive uncertainty estimation using deep ensembles*,
#   NeurIPS 30 (2017).
# - Gal & Ghahramani, *Dropout as a Bayesian approximation*, ICML (2016).
# - Tibshirani, *Regression shrinkage and selection via the lasso*, Journal of the Royal Statistical Society B 58 (1996)
#   267-288. The Laplace prior behind it.
# - Lin, *Divergence measures based on the Shannon entropy*, IEEE Transactions on Information Theory 37 (1991) 145-151.

# %% [markdown] tags=["instructor"]
# ## Instructor notes
#
# <details>
# <summary>Timings, what goes wrong, what to ask</summary>
#
# | part | minutes |
# |---|---|
# | 1 a tournament where almost nothing can be known, exercise 9.1 | 15 |
# | 2 the same network, another seed | 7 |
# | 3 a distribution of networks | 12 |
# | 4 the prior is the regulariser, widget | 10 |
# | 5 does doubt announce a bad era? | 10 |
# | 6 molecules: clusters as eras (further) | 8 |
# | 7 a number that cannot be, exercise 9.2 (further) | 10 |
# | 8 several targets, and depth (further) | 6 |
# | leak lab with exercise 9.3, quiz | 8 |
# | claims | 4 |
#
# - With 60 minutes: sections 1 to 5, the leak lab and the quiz.
# - Section 1: collect the predictions. Most are far too high, and the rest of the lesson needs the right size.
# - In exercise 9.1 the usual first answer ranks all rows at once. Ask who is paid for guessing the level of a week.
# - Section 2: let the class run one seed each and write the scores on a board. Then ask for the best "idea".
# - Section 3: "so Bayes is better?" Send them to the last line of the table: an average over seeds is the fair rival.
# - Section 4: somebody will say that a prior is subjective. Ask which penalty they use, and who chose its strength.
# - Section 5 is the heart. Before the second panel, ask what a model would have to see. Nearly everybody blames the prior
#   or the number of samples first.
# - Section 7: keep the tone. The speaker published the tables; that is why they can be checked at all.
# - Leak lab: the study states its choice openly. Ask how often a paper's early stopping says which rows it watched.
#
# </details>
