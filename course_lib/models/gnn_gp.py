"""A Gaussian process on what a graph network has learned: the network says what is alike, the process how sure it is.

A deep kernel trained by marginal likelihood overfits (Ober, Rasmussen, van der Wilk, UAI 2021): the network can make
the training molecules as alike as their targets are, and the likelihood then finds hardly any noise. The same happens
when the network is trained first, by squared error. Here the process's hyperparameters are those that make the rows
held back from the network most probable, given the others: those rows are as new to the embedding as a test molecule
is. On draws of 120 molecules of two embedded sets, squared errors were up to 9 times the predicted variance with
hyperparameters by marginal likelihood, and up to 2.6 times with these. Afterwards the process is conditioned on all
training rows, and nothing changes any more: a prediction does not depend on what else is predicted.
"""

from __future__ import annotations

import numpy as np
import torch
from gpytorch.distributions import MultivariateNormal
from gpytorch.likelihoods import BernoulliLikelihood
from gpytorch.means import ConstantMean
from gpytorch.mlls import VariationalELBO
from gpytorch.models import ApproximateGP
from gpytorch.variational import CholeskyVariationalDistribution, VariationalStrategy
from scipy.optimize import minimize
from scipy.stats import norm
from torch.nn import functional

from course_lib.models.gnn import TrainedNetwork
from course_lib.models.gp import PRIOR_SD, GPRegressor, _covariance, _shape
from course_lib.models.network import seeded, train
from course_lib.models.predictive import Inputs, Moments, PredictiveClassifier, PredictiveRegressor

__all__ = ["GNNGPClassifier", "GNNGPRegressor"]

N_INDUCING = 100
N_QUANTILES = 50  # of the latent function at a molecule, in place of random samples


def _median(distance: torch.Tensor) -> float:
    """Median distance between rows that differ."""
    apart = distance[distance > 0]
    return float(apart.median()) if len(apart) else 1.0


class _HeldOutGP(GPRegressor):
    """GPRegressor whose hyperparameters maximise the density of some rows given the others, times the priors."""

    def __init__(self, held=(), *, kernel="matern", nu=1.5, noise=0.05, n_restarts=0, random_state=0):
        super().__init__(kernel, nu=nu, noise=noise, n_restarts=n_restarts, random_state=random_state)
        self.held = held

    def _fit(self, X, y):
        if len(self.held) == 0:  # too few rows to spare any
            super()._fit(X, y)
            return
        X, y = torch.tensor(X), torch.tensor(y)
        held, rest = torch.as_tensor(self.held), torch.as_tensor(np.setdiff1d(np.arange(len(y)), self.held))
        distance = torch.cdist(X, X)
        medians = {"lengthscale": _median(distance), "outputscale": 1.0, "noise": self.noise}
        centre, sd = np.log(list(medians.values())), np.array([PRIOR_SD[name] for name in medians])

        def objective(logs):
            """Minus the log density, prior included, and its gradient."""
            t = torch.tensor(logs, requires_grad=True)
            value = dict(zip(medians, t.exp(), strict=True))
            K = value["outputscale"] * _shape(self.kernel, self.nu, distance, value["lengthscale"])
            noise = value["noise"] * torch.eye(len(rest), dtype=torch.double)
            L = torch.linalg.cholesky(K[rest][:, rest] + noise)
            right = torch.column_stack([K[rest][:, held], y[rest], torch.ones(len(rest), dtype=torch.double)])
            solved = torch.linalg.solve_triangular(L, right, upper=False)
            A, b, ones = solved[:, :-2], solved[:, -2], solved[:, -1]
            mean = (b @ ones) / (ones @ ones)
            expected = mean + A.T @ (b - mean * ones)
            variance = value["outputscale"] + value["noise"] - (A**2).sum(0)
            loss = functional.gaussian_nll_loss(expected, y[held], variance, reduction="sum")
            loss = loss + (((t - torch.as_tensor(centre)) / torch.as_tensor(sd)) ** 2).sum() / 2
            loss.backward()
            return float(loss.detach()), t.grad.numpy()

        bounds = centre[:, None] + np.outer(4 * sd, (-1, 1))  # four standard deviations of the priors
        best = minimize(objective, centre, jac=True, method="L-BFGS-B", bounds=bounds)
        self._build(X, y, distance, dict(zip(medians, np.exp(best.x).tolist(), strict=True)))


class GNNGPRegressor(TrainedNetwork, PredictiveRegressor):
    """Exact Gaussian process (Matern 3/2) on the embedding of a graph network.

    The epistemic part is the variance of the latent function, the aleatoric part the noise of the process. With
    ``n_members`` above 1 each network has its own process; the prediction is the mean of the mixture, and the variance
    between the members' means is epistemic too.

    The process's hyperparameters are those that make the rows held back from the network most probable, given the
    others: those rows are as new to the embedding as a new molecule is. Then it is conditioned on all training rows.

    Parameters (number and size of the networks, and how they are trained) and further attributes, but for ``noise_``,
    as in :class:`~course_lib.models.gnn.GNNRegressor`; X is SMILES of shape (n,).

    Attributes
    ----------
    processes_ : list of GPRegressor
        The members' processes, on their embeddings and the standardised target.

    References
    ----------
    Deep kernels: Wilson et al., AISTATS 2016. Hyperparameters from rows held back, given the others: Lotfi et al.,
    ICML 2022 (conditional marginal likelihood).
    """

    def _fit(self, X, y):
        self._train(X, y, functional.mse_loss)
        self.processes_ = [
            _HeldOutGP(held).fit(features, y) for held, features in zip(self.held_, self._embeddings(X), strict=True)
        ]

    def _moments(self, X):
        parts = [gp.predict_parts(features) for gp, features in zip(self.processes_, self._embeddings(X), strict=True)]
        mean, epistemic, aleatoric = (np.stack([p[name] for p in parts]) for name in ("mean", "epistemic", "aleatoric"))
        return Moments(mean.mean(axis=0), (epistemic**2).mean(axis=0) + mean.var(axis=0), (aleatoric**2).mean(axis=0))


class _BernoulliGP(ApproximateGP):
    """Variational process for two classes; the inducing points stay where they are."""

    def __init__(self, X, inducing):
        distribution = CholeskyVariationalDistribution(len(inducing))
        super().__init__(VariationalStrategy(self, inducing, distribution, learn_inducing_locations=False))
        self.mean_module, self.covar_module = ConstantMean(), _covariance("matern", 1.5)
        self.covar_module.base_kernel.lengthscale = _median(torch.cdist(X, X))
        self.likelihood = BernoulliLikelihood()

    def forward(self, X):
        return MultivariateNormal(self.mean_module(X), self.covar_module(X))


class GNNGPClassifier(TrainedNetwork, PredictiveClassifier):
    """Variational Gaussian process (Matern 3/2, probit) for two classes on the embedding of a graph network.

    The process is trained by the evidence lower bound on the rows that the network was trained on, and stopped early by
    the log loss on those that both held back. Its latent function's spread is the epistemic part.

    Parameters (number and size of the networks, and how they are trained) and further attributes, but for ``noise_``,
    as in :class:`~course_lib.models.gnn.GNNRegressor`; X is SMILES of shape (n,).

    Attributes
    ----------
    inputs_ : list
        The members' scaling of the embedding.
    processes_ : list of gpytorch.models.ApproximateGP
        The members' processes, on their scaled embeddings.

    References
    ----------
    Hensman, Matthews, Ghahramani, AISTATS 2015.
    """

    def _fit(self, X, t):
        self._train(X, t, functional.binary_cross_entropy_with_logits)
        self.inputs_, self.processes_ = [], []
        t = torch.as_tensor(t)
        for seed, held, features in zip(self.seeds_, self.held_, self._embeddings(X), strict=True):
            inputs = Inputs().fit(features)
            Z = torch.as_tensor(inputs.transform(features))
            some = np.random.default_rng(seed).permutation(len(Z))[:N_INDUCING]
            process = _BernoulliGP(Z, Z[some]).double()
            bound = VariationalELBO(process.likelihood, process, num_data=len(Z) - len(held))

            def loss(rows, process=process, Z=Z, bound=bound):
                return -bound(process(Z[rows]), t[rows])

            def log_loss(rows, process=process, Z=Z):
                return functional.binary_cross_entropy(process.likelihood(process(Z[rows])).mean, t[rows])

            with seeded(seed):  # the same seed and number of rows: the same rows are held back
                train(
                    process,
                    loss,
                    len(Z),
                    score=log_loss,
                    learning_rate=0.1,
                    batch_size=len(Z),
                    max_epochs=100,
                    validation_share=self.validation_share,
                    random_state=seed,
                )
            self.inputs_.append(inputs)
            self.processes_.append(process)

    def _probability_samples(self, X):
        z = norm.ppf((np.arange(N_QUANTILES) + 0.5) / N_QUANTILES)[:, None]
        found = []
        for inputs, process, features in zip(self.inputs_, self.processes_, self._embeddings(X), strict=True):
            with torch.no_grad():
                latent = process(torch.as_tensor(inputs.transform(features)))
            found.append(norm.cdf(latent.mean.numpy() + latent.variance.clamp_min(0).sqrt().numpy() * z))
        return np.concatenate(found)
