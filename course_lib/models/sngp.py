"""Networks that keep distances, with a Gaussian process on top: sigma grows away from the training rows.

Residual layers whose weights are bounded cannot fold far inputs onto near ones; a Gaussian process in random Fourier
features of the last layer then knows what is far. Training finds the layers. What follows it is the point of the
method: the posterior of the head, mean and covariance, is computed from *all* training rows. Without that step sigma
stays at its prior for every molecule.

The layers have seen the labels of the rows that they were fitted on, so residuals there say too little about new
molecules. Signal and noise variance of the head therefore maximise the density of the rows that training held back.

References
----------
Liu et al., Journal of Machine Learning Research 2023, 24(42), 1-63.
"""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import torch
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_expit, ndtri
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrize

from course_lib.models.network import PrincipalAxes, seeded, train
from course_lib.models.predictive import Moments, PredictiveClassifier, PredictiveRegressor

__all__ = ["SNGPClassifier", "SNGPRegressor", "laplace_posterior", "linear_posterior"]

# Weak log-normal priors, needed where few rows are held back: of the signal's variance, and of the noise's (both of a
# target with variance 1), as (median, standard deviation of the logarithm).
SIGNAL, NOISE = (1.0, 1.5), (0.1, 1.0)


class _Bounded(nn.Module):
    """Weights scaled down, where needed, so that their largest singular value is at most ``bound``."""

    def __init__(self, bound: float) -> None:
        super().__init__()
        self.bound = bound

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight * (self.bound / torch.linalg.matrix_norm(weight, 2)).clamp(max=1.0)


class _Network(nn.Module):
    """Layers h + relu(W h + b), the random features of what comes out, and a linear head on them."""

    def __init__(self, X: torch.Tensor, n_layers: int, bound: float, n_features: int) -> None:
        super().__init__()
        width = X.shape[1]
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(n_layers))
        for layer in self.layers:
            parametrize.register_parametrization(layer, "weight", _Bounded(bound))
        self.register_buffer("frequency", torch.randn(width, n_features))
        self.register_buffer("phase", 2 * math.pi * torch.rand(n_features))
        with torch.no_grad():
            distance = torch.pdist(self.hidden(X[:1000]))
        distance = distance[distance > 0]
        start = distance.median() if len(distance) else torch.tensor(1.0)
        self.log_length = nn.Parameter(start.log())
        self.head = nn.Parameter(torch.zeros(n_features))
        self.log_noise = nn.Parameter(torch.tensor(math.log(0.5)))

    def hidden(self, X: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            X = X + functional.relu(layer(X))
        return X

    def features(self, X: torch.Tensor) -> torch.Tensor:
        """Random Fourier features whose products approach exp(-d^2 / (2 l^2)), shape (n, n_features)."""
        angle = self.hidden(X) @ self.frequency / self.log_length.exp() + self.phase
        return math.sqrt(2 / len(self.phase)) * torch.cos(angle)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        return self.features(X) @ self.head


def linear_posterior(features: np.ndarray, y: np.ndarray, signal: float, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Posterior of b in y = features b + noise, with b ~ N(0, signal I).

    Parameters
    ----------
    features : ndarray of shape (n, d)
    y : ndarray of shape (n,)
    signal : float
        Variance of the weights.
    noise : float
        Variance of the noise.

    Returns
    -------
    mean : ndarray of shape (d,)
    precision : ndarray of shape (d, d)
        Lower Cholesky factor of the inverse covariance.
    """
    precision = features.T @ features / noise
    precision[np.diag_indices(len(precision))] += 1 / signal
    factor = cholesky(precision, lower=True)
    return cho_solve((factor, True), features.T @ y / noise), factor


def _variances(features: np.ndarray, y: np.ndarray, held: np.ndarray) -> tuple[float, float]:
    """Signal and noise variance under which the rows held back are most probable, given the others.

    Without rows held back (fewer than 10 in all) the marginal likelihood of all rows decides.
    """
    rest = np.setdiff1d(np.arange(len(y)), held)
    gram = features @ features.T

    def minus_log_density(log_variances: np.ndarray) -> float:
        signal, noise = np.exp(log_variances)
        covariance = signal * gram[np.ix_(rest, rest)] + noise * np.eye(len(rest))
        factor = cholesky(covariance, lower=True)
        white = solve_triangular(factor, y[rest], lower=True)
        if len(held):
            cross = solve_triangular(factor, signal * gram[np.ix_(rest, held)], lower=True)
            variance = signal * gram[held, held] - (cross**2).sum(axis=0) + noise
            fit = 0.5 * np.sum(np.log(variance) + (y[held] - cross.T @ white) ** 2 / variance)
        else:
            fit = np.log(np.diag(factor)).sum() + 0.5 * white @ white
        prior = sum(
            0.5 * ((t - math.log(m)) / s) ** 2 for t, (m, s) in zip(log_variances, (SIGNAL, NOISE), strict=True)
        )
        return float(fit + prior)

    start = np.log([SIGNAL[0], NOISE[0]])
    found = minimize(minus_log_density, start, method="L-BFGS-B", bounds=[(-6, 6), (-9, 2)])
    return tuple(float(v) for v in np.exp(found.x))


def laplace_posterior(features: np.ndarray, t: np.ndarray, signal: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Laplace approximation to the posterior of b in P(t = 1) = 1 / (1 + exp(-features b)), with b ~ N(0, signal I).

    Newton steps in the space of the n function values (Rasmussen & Williams 2006, algorithm 3.1).

    Parameters
    ----------
    features : ndarray of shape (n, d)
    t : ndarray of shape (n,)
        0 or 1.
    signal : float
        Variance of the weights.

    Returns
    -------
    mode : ndarray of shape (d,)
    precision : ndarray of shape (d, d)
        Lower Cholesky factor of the inverse covariance at the mode.
    log_evidence : float
        Approximate log marginal likelihood.

    Raises
    ------
    ValueError
        When the steps do not settle.
    """
    kernel, identity = signal * features @ features.T, np.eye(len(t))
    f = np.zeros(len(t))
    for _ in range(100):
        p = expit(f)
        weight = p * (1 - p)
        root = np.sqrt(weight)
        inner = identity + root[:, None] * kernel * root
        right = weight * f + t - p
        a = right - root * np.linalg.solve(inner, root * (kernel @ right))
        change = np.abs(kernel @ a - f).max()
        f = kernel @ a
        if change < 1e-8:
            break
    else:
        raise ValueError("the Laplace approximation did not settle in 100 steps: look for extreme values in X")
    p = expit(f)
    weight = p * (1 - p)
    root = np.sqrt(weight)
    log_determinant = np.linalg.slogdet(identity + root[:, None] * kernel * root)[1]
    evidence = -0.5 * a @ f + log_expit((2 * t - 1) * f).sum() - 0.5 * log_determinant
    precision = features.T * weight @ features
    precision[np.diag_indices(len(precision))] += 1 / signal
    return signal * features.T @ a, cholesky(precision, lower=True), float(evidence)


class _SNGP:
    """What the regressor and the classifier share."""

    TUNE_SPACE: ClassVar[dict[str, tuple]] = {
        "spectral_bound": ("float", 0.3, 2.0),
        "learning_rate": ("log10", 3e-4, 1e-2),
    }

    def __init__(
        self,
        width: int = 64,
        *,
        n_layers: int = 2,
        spectral_bound: float = 0.95,
        n_features: int = 512,
        learning_rate: float = 3e-3,
        batch_size: int = 64,
        max_epochs: int = 200,
        patience: int = 20,
        validation_share: float = 0.15,
        random_state: int = 0,
    ) -> None:
        self.width = width
        self.n_layers = n_layers
        self.spectral_bound = spectral_bound
        self.n_features = n_features
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation_share = validation_share
        self.random_state = random_state

    def _fit(self, X: np.ndarray, y: np.ndarray) -> None:
        self.axes_ = PrincipalAxes(X, self.width)
        X, target = self.axes_(X), torch.as_tensor(y, dtype=torch.float32)
        with seeded(self.random_state):
            network = self.network_ = _Network(X, self.n_layers, self.spectral_bound, self.n_features)

            def misfit(rows: torch.Tensor) -> torch.Tensor:
                return self._misfit(network, network(X[rows]), target[rows])

            self.history_ = train(
                network,
                lambda rows: misfit(rows) + network.head.square().sum() / (2 * len(y)),
                len(y),
                score=misfit,
                learning_rate=self.learning_rate,
                batch_size=self.batch_size,
                max_epochs=self.max_epochs,
                patience=self.patience,
                validation_share=self.validation_share,
                random_state=self.random_state,
            )
        for layer in network.layers:  # the bounded weights become plain ones, which can be pickled
            parametrize.remove_parametrizations(layer, "weight")
        held = np.array(self.history_.attrs["held"], dtype=int)
        self._fit_head(self._features(X), np.asarray(y, dtype=float), held)

    def _features(self, X: torch.Tensor) -> np.ndarray:
        with torch.no_grad():
            return self.network_.features(X).double().numpy()

    def _latent(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Posterior mean and variance of the head's output, shape (n,) each."""
        features = self._features(self.axes_(X))
        variance = (solve_triangular(self.precision_, features.T, lower=True) ** 2).sum(axis=0)
        return features @ self.head_, variance


class SNGPRegressor(_SNGP, PredictiveRegressor):
    """Spectral-normalised network with a Gaussian-process head, for a number.

    Parameters
    ----------
    width : int
        Width of the layers: so many principal components of the inputs enter.
    n_layers : int
        Residual layers.
    spectral_bound : float
        Largest singular value of a layer's weights. Below 1 no layer can fold inputs onto each other.
    n_features : int
        Random Fourier features of the head.
    learning_rate : float
        Of Adam.
    batch_size : int
        Rows in an optimiser step, about: the batches of an epoch are of nearly equal size.
    max_epochs : int
        Passes over the rows, at most.
    patience : int
        Training stops after so many epochs without a better loss on the rows held back, and keeps the best.
    validation_share : float
        Share of the rows held back from the training of the layers. With 0, or fewer than 10 rows, none are.
    random_state : int

    Attributes
    ----------
    head_ : ndarray of shape (n_features,)
        Posterior mean of the head's weights.
    precision_ : ndarray of shape (n_features, n_features)
        Lower Cholesky factor of the inverse of their posterior covariance.
    signal_ : float
        Prior variance of the head's weights, for a target with variance 1.
    noise_ : float
        Variance of the noise, for a target with variance 1.
    history_ : DataFrame
        Training and validation loss, one row an epoch; ``attrs["held"]`` lists the rows held back.
    """

    @staticmethod
    def _misfit(network: _Network, f: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (0.5 * ((y - f) / network.log_noise.exp()) ** 2 + network.log_noise).mean()

    def _fit_head(self, features: np.ndarray, y: np.ndarray, held: np.ndarray) -> None:
        self.signal_, self.noise_ = _variances(features, y, held)
        self.head_, self.precision_ = linear_posterior(features, y, self.signal_, self.noise_)

    def _moments(self, X: np.ndarray) -> Moments:
        mean, variance = self._latent(X)
        return Moments(mean, variance, np.full(len(mean), self.noise_))


class SNGPClassifier(_SNGP, PredictiveClassifier):
    """Spectral-normalised network with a Gaussian-process head, for two classes; parameters as in the regressor.

    The head's posterior is Laplace's approximation; its variance is the one with the largest approximate evidence.
    Probabilities are averaged over 100 evenly spaced quantiles of the latent normal.
    """

    @staticmethod
    def _misfit(network: _Network, f: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return functional.binary_cross_entropy_with_logits(f, t)

    def _fit_head(self, features: np.ndarray, t: np.ndarray, held: np.ndarray) -> None:
        found = minimize_scalar(
            lambda log_signal: -laplace_posterior(features, t, math.exp(log_signal))[2],
            bounds=(-3, 5),
            method="bounded",
            options={"xatol": 0.1},
        )
        self.signal_ = math.exp(found.x)
        self.head_, self.precision_, _ = laplace_posterior(features, t, self.signal_)

    def _probability_samples(self, X: np.ndarray) -> np.ndarray:
        mean, variance = self._latent(X)
        quantiles = ndtri((np.arange(100) + 0.5) / 100)
        return expit(mean + np.sqrt(variance) * quantiles[:, None])
