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
# One thing differs from the tournament. There, hundreds of thousands of rows bear a correlation of about two hundredths.
# What can be learned grows with the rows, and with the *square* of the correlation. So with a hundred times fewer rows we
# need a signal about ten times stronger, and today we take one. The full run has only weaker ones.

# %% tags=["nbval-check-output"]
MAIN = "alpha_20"  # one kind of target, over 20 days
panel = simulate(n_eras=56, n_rows=200, signal=0.3, random_state=0)
train, valid = panel.split(20)  # the first eras to learn from, the later ones to validate
y = valid.targets[MAIN].to_numpy()
burns = valid.truth["burn"].to_numpy()
print(f"{len(train)} rows in 20 eras to learn from, {len(valid)} rows in 36 eras to validate")
print(f"{len(panel.features)} features; {burns.sum()} of the 36 validation eras burn")

# %% tags=["nbval-check-output"]
sizes = {"tournament, about": (400_000, 0.02), "today": (len(train), 0.3 * (1 - 2 * 0.2))}
for strength, flips in ((0.12, 0.2), (0.06, 0.2), (0.12, 0.4), (0.06, 0.4)):
    name = f"full run, signal {strength}, flips {flips}"
    sizes[name] = (24 * 250, strength * (1 - 2 * flips))
print(f"{'':33}training rows   correlation   rows x correlation²")
for name, (rows, correlation) in sizes.items():
    print(f"{name:33}{rows:13,d}   {correlation:11.3f}   {rows * correlation**2:19.1f}")

# %% [markdown]
# Two things to read. The correlation of a simulated panel is the most that anybody can reach, on average over eras whose
# effect is positive and eras in which it turns ("flips" is their share). That of the tournament is one that good networks
# *did* reach. So today's panel holds somewhat less than the tournament, and **each panel of the full run holds far less**.
# Whenever you meet the full run below, expect small scores and wide intervals.

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
# $$\underbrace{\text{mean of } \log p(y \mid w) \text{ over weights drawn from the posterior}}_{\text{fit the data}} -
# \underbrace{\mathrm{KL}(\text{posterior} \,\|\, \text{prior})}_{\text{stay near the prior}}$$
#
# is as large as it gets. $\mathrm{KL}$, the *Kullback-Leibler divergence*, says how far the first distribution lies from
# the second: zero if they are the same, and larger the less the second expects what the first contains. Every prediction
# is then many predictions: draw weights, predict, and draw again.
#
# The study compares three priors. **Uniform**: every value of a weight is equally likely. **Normal** and **Laplace**:
# values near zero are likelier. Their width is that of the random start of He et al. (2015).

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
    print(f"{prior:8} evidence bound a row:", " ".join(f"{value:7.3f}" for value in eighths))
ignoring = -0.5 * np.log(2 * np.pi * np.e)  # mean 0 and standard deviation 1 for every row
print(f"a model without weights, which ignores the features: {ignoring:.3f}")

# %%
figure, ax = plt.subplots(figsize=(7.6, 3.6), layout="constrained")
for (prior, bound), colour, style in zip(
    bounds.items(), COLOURS, ("-", "--", "-."), strict=False
):
    share = 100 * np.arange(1, len(bound) + 1) / len(bound)
    ax.plot(share, bound, style, color=colour, linewidth=2, label=f"{prior} prior".capitalize())
ax.axhline(ignoring, color="black", linestyle=":", linewidth=1.2, label="Features ignored")
ax.set(xlabel="training done (%)", ylabel="evidence bound (nats a row)", ylim=(-3, None))
ax.set_title("Is the training over?")
legend = ax.legend()

# %% [markdown]
# **Figure:** the evidence bound of three priors while training; the first rounds lie below the picture. The curves of the
# normal and the Laplace prior are level in the second half, just below the dotted line of a model that ignores the
# features. The curve of the uniform prior goes on rising.
#
# The numbers above are means over the eighths of the training. As the learning rate falls to zero, *every* curve is flat at
# the end, so look at the middle, where the rate is still one half. A curve that rises there has not arrived. A curve that
# is level there *may* have arrived; it may also rest on a plateau or in a poor optimum, and the curve does not say which.
#
# So compare with something that you can compute. A model that says "mean 0, standard deviation 1" for every row of the
# standardised target has no weights to pay for, and the bound printed last. The normal and the Laplace prior end a little
# below it: in the currency of the bound, their weights cost more than they gain in fit. This shows how little there is to
# learn. It does not mean that they learned nothing, as the scores below tell.
#
# The uniform prior's curve cannot arrive. Make all weights into a hidden unit ten times larger and the weight out of it ten
# times smaller. The network computes the same, but its posterior has become wider in many directions and narrower in
# one, and no prior objects. So the bound rises without end, there is no best posterior, and **when one stops is part of
# the model**. (Nor can its bound be compared with another prior's or with the dotted line: a uniform prior has no height.)
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
print("±: standard deviation of the single scores, not an interval of their mean")

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
# Claim D2: the averaged prediction scores above the *mean* of its members' scores (not above each of them). Where members
# err independently, their errors cancel and what they share stays.
#
# Claim D3: the Bayesian network beats the point network. Read it with care. The fair rival of an average over a posterior
# is an average over seeds, which the last line of the table gives. And each should train at a learning rate that suits it,
# both tuned with equal effort. In the study the rate was ten times *smaller* for the Bayesian networks; today it is larger
# for them, as they have few steps. Here neither was tuned, so two things are mixed. The claim's rule takes equal rates: that
# removes one difference, but a rate that suits one network may not suit the other.
#
# The next cell prints three differences: from single baselines at the Bayesian network's rate (the claim's), from single
# baselines at their own rate, and, fairest of the three, from the baselines' averaged prediction.

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
claim("D3").illustrate(
    averaged - same_rate,
    at_unequal_rates=averaged - baseline.mean(),
    from_average_over_seeds=averaged - together,
)

# %% [markdown]
# And the study's own table? The next cell prints it, and beside it the same figures from simulated panels, with 95 %
# intervals over panels. **They are not the study's data**, and they hold far less signal (section 1), so the two columns
# need not agree. The question is whether the same conclusions come out. The full run has the study's network, far larger
# than today's, and trains it for a set number of steps. We do not show that it has arrived by then, so read its figures as
# those of "this model, trained for so long".
#
# One published figure is corrected here: for the correlation of the best epoch the slide prints 0.191. That is ten times
# all the others, so we take it for a slip of the decimal point.

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
# The intervals are wide and overlap. But all models met the same panels, so compare them **panel by panel**: an interval
# of the differences says more than two intervals side by side. Two rivals join that are not on the slides: an average over
# seeds (a *deep ensemble*), and *MC dropout*, which leaves out random units when predicting, too, and averages.

# %% tags=["nbval-check-output"]
unit = ["region", "panel"]
run = full_run("panel_study")
by_panel = run.groupby([*unit, "arm"])["correlation"].mean().unstack()
first = run[run["seed"] == 0].set_index(unit)  # the seed of which all samples were scored


def interval(differences, digits=4):
    """Write the mean over panels with its 95 % interval."""
    found = t_interval(differences.dropna())
    mean, low, high = (f"{v:+.{digits}f}" for v in (found.estimate, found.low, found.high))
    return f"{mean} [{low}, {high}]"


rows = compared[(compared["table"] == "ensemble") & (compared["measure"] == "correlation")]
rows = rows[rows["model"] != "best epoch"]
rows = rows.assign(name=rows["prior"].where(rows["prior"] != "", rows["model"]))
for title, column in (("published", "published"), ("simulated", "estimate")):
    print(f"order, {title}:", " > ".join(rows.sort_values(column, ascending=False)["name"]))
print(f"\n{'averaged prediction less':28}{'single baseline':30}average over seeds")
for prior in PRIORS:
    ours = by_panel[f"BNN {prior}"]
    rivals = (ours - by_panel[rival] for rival in ("baseline", "deep ensemble of baseline"))
    print(f"{prior:28}" + "   ".join(interval(r) for r in rivals))
print(f"\n{'averaged prediction less':28}mean score of its samples (claim D2)")
for prior in PRIORS:
    part = first[first["arm"] == f"BNN {prior}"]
    print(f"{prior:28}" + interval(part["correlation"] - part["samples_correlation"]))
best_less_last = by_panel["baseline, best epoch"] - by_panel["baseline"]
print(f"\n{'best epoch less last epoch':28}{interval(best_less_last)}")

# %% [markdown]
# **Do the same conclusions come out?** For the most part these panels cannot say.
#
# - *Which prior?* They stand in the opposite order.
# - *Bayesian or not?* In both orders the Bayesian networks come before the two point networks. But the last three of our
#   order have nearly the same score. Only the normal prior's lead over single baselines has an interval above zero, and
#   it is one of three that we looked at. Against the average over seeds no prior has such a lead.
# - *Does averaging help (D2)?* The intervals lie above zero for the normal and the Laplace prior, and not for the uniform
#   one. The verdict, after correction for the other claims, is at the end of the lesson.
# - *The best epoch* stands far above the last one, as in the study. The leak lab asks why.
#
# Is the normal prior's lead due to the prior? The full run also has the baseline at the smaller learning rate ("slow");
# and, on one panel of each region only, Bayesian networks at that rate and with four times the steps ("long").

# %% tags=["nbval-check-output"]
further = full_run("panel_steps")
for part in (run, further):
    for arm, scores in part.groupby([*unit, "arm"])["correlation"].mean().groupby("arm"):
        print(f"{arm:28}{interval(scores)} over {len(scores)} panels")
long = further[further["arm"] == "BNN long normal"].set_index(unit)["correlation"]
usual = first[first["arm"] == "BNN normal"]["correlation"]
print("the same panels, normal prior: four times the steps less the usual number")
print(f"{'':28}{interval(long - usual)} over {len(long)} panels")

# %% [markdown]
# Read the last line. Trained longer, the same model under the same prior scores *lower*, and by more than it led. The
# interval just includes zero, and there are few panels, so this is no proof. But the lead may well owe to stopping early,
# which is a regulariser too, and not to the prior.

# %% [markdown]
# ## 4 The prior is the regulariser
#
# Why do the priors differ? Look at one point of the posterior, its top: the **most probable weights**. They make
# likelihood times prior as large as possible, so they make the *sum of the logarithms* as large as possible:
#
# | prior of a weight | its logarithm, up to a constant | known as a penalty |
# |---|---|---|
# | normal | $-w^2 / 2s^2$ | L2, ridge |
# | Laplace | $-\sqrt{2}\,\lvert w\rvert / s$ | L1, lasso |
# | uniform | $0$ | none, least squares |
#
# The **scale** $s$ is the standard deviation of a weight under the prior, for the normal and the Laplace prior alike.
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
# All this is about the top of the posterior, which is one point. The posterior itself is a distribution around it. Under a
# Laplace prior the *top* can have weights of exactly zero; a network that is *drawn* from the posterior has none.
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
# > **Predict first.** What AUC will the Laplace prior, which had the largest one in the study, reach on our panel?

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
# So we make two more panels that differ in one thing. In the burn eras of the second panel all features lie half as far out
# again from their mean, as in a nervous market. In those of the third they lie nearer to it, by the same factor, as in a
# market asleep.
#
# > **Predict first.** A burn era of the third panel looks as different from the others as one of the second does. Will the
# > spread announce it?

# %% tags=["predict"]
my_prediction = ...  # AUC in the third panel, between 0 and 1

# %%
looks = {"unchanged": 1.0, "wider": 1.5, "narrower": 1 / 1.5}  # factor of burn eras' features
shown = {"unchanged": posterior["laplace"]}
for look in ("wider", "narrower"):
    other = simulate(n_eras=56, n_rows=200, signal=0.3, burn_scale=looks[look], random_state=0)
    early, late = other.split(20)
    model = BNNRegressor(prior="laplace", **SIZE, random_state=0)
    samples = model.fit(early.X, early.targets[MAIN]).sample_functions(late.X, N_SAMPLES // 2)
    shown[look] = score_posterior(samples, late.targets[MAIN], late.eras)
seen = {look: burn_detection(found.spread, valid.eras, burns) for look, found in shown.items()}
show_prediction(my_prediction, seen["narrower"].estimate)
print("in burn eras   features times   spread times   AUC of the spread")
for look, found in shown.items():
    by_era = pd.Series(found.spread).groupby(valid.eras).mean().to_numpy()
    ratio = by_era[burns].mean() / by_era[~burns].mean()
    print(f"{look:12}{looks[look]:17.2f}   {ratio:12.2f}   {seen[look]}")
claim("D4").illustrate(
    seen["unchanged"].estimate - 0.5,
    burn_eras_wider=seen["wider"].estimate - 0.5,
    burn_eras_narrower=seen["narrower"].estimate - 0.5,
)

# %%
figure, panels = plt.subplots(1, 3, figsize=(9.6, 3.8), sharey=True, layout="constrained")
for (look, found), ax in zip(shown.items(), panels, strict=True):
    spread = pd.Series(found.spread).groupby(valid.eras).mean()
    for name, where, colour, mark in (
        ("other eras", ~burns, COLOURS[0], "o"),
        ("burn eras", burns, COLOURS[1], "s"),
    ):
        ax.scatter(spread[where], found.eras[where], color=colour, marker=mark,
                   edgecolor="black", label=name)  # fmt: skip
    ax.axhline(0, color="grey", linewidth=1)
    ax.set(title=f"features of burn eras: {look}", xlabel="mean spread of the era")
panels[0].set_ylabel("rank correlation")
legend = panels[1].legend(loc="upper right")

# %% [markdown]
# **Figure:** one mark an era: its mean spread along the bottom, the rank correlation of the averaged prediction upwards;
# squares for burn eras, circles for the others; one picture for each of the three panels. In the first, squares and circles
# mix along the bottom axis (its range is narrow there). In the second the squares stand apart on the right, in the third on
# the left.
#
# The same model, the same prior, the same effect on money: what differs is only how a burn era *looks*. The spread follows
# the size of the features, up and down, by nearly the same factor. In the third panel the model is *most* sure of itself in
# the very eras that lose: who sits out the uncertain eras sits out good ones. So D4 is a claim about **what burns look
# like**, more than about Bayes; and the mean size of the features would have said the same without a network.
#
# Note which reading is safe. A spread that grows says "these inputs lie far out". It never says "the effect has turned",
# and about inputs that are unusual in another way it may say nothing, or the opposite.
#
# Read the verdicts above in this light. In the regions named "burns seen", the features of burn eras are *wider*, as in our
# second panel. And each verdict takes the best of the three priors, by its mean area over the same panels that then judge
# it, so it leans upwards. The next cell has all three, each mean over 40 panels.

# %% tags=["nbval-check-output"]
both = pd.concat([run[run["seed"] == 0], full_run("panel_burn")])
for look in ("seen", "unseen"):
    there = both[both["region"].str.endswith(f" {look}")]
    for prior in PRIORS:
        area = there[there["arm"] == f"BNN {prior}"].set_index(unit)["auc"]
        found = t_interval(area.dropna())
        text = f"{found.estimate:.3f} [{found.low:.3f}, {found.high:.3f}]"
        print(f"burns {look:7}{prior:8} mean AUC {text} over {found.df + 1:.0f} panels")

# %% [markdown]
# Where the features show nothing, no prior is away from chance. That "the prior decides how well" does not come out here.
#
# The study went by another truth, as it had no other: an era burns if *this model's own score* is negative.

# %% tags=["nbval-check-output"]
beside("burn", "auc", "area for eras of negative score")
beside("burn", "n_burn", "number of such eras", digits=0)

# %% [markdown]
# The counts stand on different totals: ours are out of 40 validation eras, the study's out of its own, a number that our
# copy of its tables does not have. So compare the areas. All three of ours have one half inside their intervals.

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
# clusters that were seen, and one or two of them cannot show how different they can be. The last line uses all clusters:
# minus one would mean that the spread orders them perfectly. A large spread in lesson 04 said "far from the known". A
# cluster may be far away and still be ranked well, as ranking within it needs differences only.
#
# The full run takes eight sets, each clustered twice:

# %% tags=["nbval-check-output"]
clusters = full_run("panel_molecules")
for prior in PRIORS:
    part = clusters[clusters["arm"] == f"BNN {prior}"]
    area = part.groupby("model")["auc"].mean().dropna()
    print(
        f"{prior:8} {part['n_burn'].sum():2d} of {part['n_clusters'].sum()} clusters burn; "
        f"mean AUC {area.mean():.2f} over {len(area)} of {part['model'].nunique()} sets"
    )

# %% [markdown]
# A set without a burn cluster has no area. So the three means rest on different sets, and the verdict, which takes the prior
# with the largest mean, takes the one that ranks most clusters the wrong way round. Its "7 x panel" are seven of the eight
# sets. With so few burn clusters to a set, "undecided" is no surprise.

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
# the study's pairs of depths, with 95 % intervals over panels. These are wide and overlap, so we read no order of the pairs
# from them.

# %%
moments = {
    prior: (found.samples["correlation"].mean(), found.samples["correlation"].std())
    for prior, found in posterior.items()
}
for i, one in enumerate(PRIORS):
    for other in PRIORS[:i]:
        js = jensen_shannon(*moments[one], *moments[other])
        print(f"{other:8} and {one:8} Jensen-Shannon {js:.2f} of at most {np.log(2):.2f}")
table = compared[compared["table"] == "divergence"].set_index(["model", "measure"])
print(f"{'':15}published   Jensen-Shannon here   symmetrised KL here")
for pair, value in divergences.items():
    here = (table.loc[(pair, m), ["estimate", "low", "high"]] for m in ("js", "symmetric_kl"))
    js, kl = ("{:.2f} [{:.2f}, {:.2f}]".format(*found) for found in here)
    print(f"{pair:15}{value:9.4f}   {js:19}   {kl}")
print(f"intervals over {table['n_panels'].min():.0f} panels")

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
# same prior. The claim's rule takes the uniform one; the other priors were fitted on half as many panels. The last four
# lines give the uniform prior on those panels only.

# %% tags=["nbval-check-output"]
joint = full_run("panel_targets").set_index(unit)


def gains(prior, name, measure, panels=None):
    """Return a joint model less the single target, panel by panel."""
    part = joint[(joint["arm"] == prior) & (joint["model"] == name)][measure]
    found = (part - first[first["arm"] == f"BNN {prior}"][measure]).dropna()
    return found if panels is None else found.loc[panels]


fewer = gains("normal", "shared targets", "sharpe").index
print(f"{'gain over the single target':32}rank correlation             Sharpe ratio")
for prior, panels in (*((prior, None) for prior in PRIORS), ("uniform", fewer)):
    for name in sorted(joint["model"].unique()):
        correlation, ratio = (gains(prior, name, m, panels) for m in ("correlation", "sharpe"))
        found = f"{interval(correlation, 3)}     {interval(ratio, 3)}"
        print(f"{prior:8}{name:24}{found}  {len(ratio)} panels")

# %% [markdown]
# The claim asks for two things at once: no gain in correlation (less than 0.001) *and* a gain in the Sharpe ratio (more than
# 0.05) where the 60-day target is used. The rule that was fixed before the run puts each part in units of its margin, takes
# the **smaller of the two on each panel**, and averages these. Such a mean lies below the mean of either part, even where
# nothing has an effect: on each panel, chance decides which part is the smaller. And the joint model is the best of four on
# the same panels, which flatters its gain. So beside the verdict, at the end of the lesson, you find the two parts alone.
#
# Compare the priors before you explain a gain, and compare them on the same panels. On those eight panels nearly every
# interval holds zero, so the signs say little. The clearest exception is a *loss*, of three kinds under the normal prior.
# That the gains seem larger under the uniform prior would fit a simple story: a second target holds a network back that
# nothing else holds back (section 4). These data do not show it. To test it, one would fit the second target with its
# rows shuffled, which was not part of the run.

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
print(f"the leak, first line less second:                {(leaky - honest).mean():.4f}")
print(f"worth of stopping early, second less third:      {(honest - baseline).mean():.4f}")
print(
    "best epochs of the seeds:",
    " ".join(str(e + 1) for e in by_epoch.mean(axis=2).argmax(axis=1)),
)

# %% [markdown]
# The first line less the second is the leak: the largest of thirty noisy numbers is large partly because it is the largest.
# No row of the training data leaked. The *choice* did.
#
# The second line less the third is what stopping early is worth when one chooses honestly. Today it is several times the
# leak: nearly all that the best epoch gains is real, as thirty rounds are too many for a network that nothing holds back.
# Whoever keeps some eras aside to choose the epoch may keep this gain. So the last epoch was an easy rival for the Bayesian
# networks: compare the second line with the averages of section 3.
#
# How large the leak is depends on the signal: the weaker it is, the more of the best epoch's lead is luck. In the full run,
# where the signal is weak, the best epoch led by more than any prior (section 3). How much of that lead is leak was not
# recorded. That is the cost of reporting the best epoch only: the reader cannot take the two apart.

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
claim("D5").show()
names = {
    "correlation": sorted(joint["model"].unique()),
    "sharpe": ["60 days feed 20", "heads of two horizons"],
}
best = {m: max(names[m], key=lambda name: gains("uniform", name, m).mean()) for m in names}
gain, longer = (gains("uniform", best[m], m) for m in ("correlation", "sharpe"))
parts = (0.001 - gain) / 0.001, (longer - 0.05) / 0.05
print(f"\nD5, its two parts alone, over {len(gain)} panels, without correction")
print(f"correlation, {best['correlation']}, best of {len(names['correlation'])}")
print(f"  gain {interval(gain)}, claimed below 0.001; in margins {interval(parts[0], 1)}")
print(f"Sharpe ratio, {best['sharpe']}, best of {len(names['sharpe'])}")
print(f"  gain {interval(longer, 3)}, claimed above 0.05; in margins {interval(parts[1], 1)}")
print(f"smaller part on each panel, then the mean: {np.minimum(*parts).mean():.1f}")

# %% [markdown]
# Read D5 by its parts. "Does not hold" owes to the first: under the uniform prior joint training *did* raise the
# correlation on these panels, and the whole interval lies on the other side of the claim's margin. (It is the best of four
# models on the same panels, which flatters it.) The second part alone is undecided: the gain in the Sharpe ratio lies above
# zero, but not surely above its margin. The figure in the verdict is lower than both parts because of the way it is made.
# Do not read it as the size of an effect.

# %% tags=["nbval-check-output"]
for id in ("D6", "D7"):
    claim(id).show()

# %% [markdown]
# And region by region? Look first at how many panels each mean rests on; the last lines of the table say it.

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
panels = parts[parts["region"] != "molecules"].groupby(["claim", "region"])["estimate"]
means, number = panels.mean().unstack("claim"), panels.size().unstack("claim").iloc[0]
chance = np.sqrt(panels.var().unstack("claim").mean() / number)
for name, row in (
    ("standard deviation of the regions' means", means.std()),
    ("what chance alone gives, from panels of a region", chance),
):
    values = (f"{row[id]:.{max(digits[id], 2)}f}" for id in grid.columns)
    print(f"{name:48}" + "".join(f"{value:>8}" for value in values))
print(f"{'panels in each region':48}" + "".join(f"{number[id]:8d}" for id in grid.columns))
print(f"sets of molecules: {(parts['region'] == 'molecules').sum()}")

# %% [markdown]
# All but D4 have two panels in a region, and no interval. In D1, D3 and D5 the regions' means vary about as much as chance
# alone would have it, in D7 somewhat more: their differences down the column are mostly chance. D4 is the exception, with
# ten panels a region: its column follows something that we put in, whether the burn eras have wider features. In D2 averaging
# seems to gain most where the signal is strongest (0.12, and few flips). We noticed that afterwards, on four panels.

# %% [markdown]
# ## Take-away
#
# > One seed is one sample: report a distribution of scores, and compare an average with an average. At the most probable
# > weights a prior is a penalty, and leaving it out is a choice too: no penalty. A spread warns of inputs that lie far out,
# > and cannot warn of a change that the inputs do not show. And ask of every measure what its largest possible value is.

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
#   or the number of samples first. Let them bet on the third panel aloud.
# - Section 7: keep the tone. The speaker published the tables; that is why they can be checked at all.
# - Leak lab: the study states its choice openly. Ask how often a paper's early stopping says which rows it watched.
#
# </details>
