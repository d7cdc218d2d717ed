"""The study's networks: a point network and its starter variant, Bayesian networks for several targets, MAP weights.

All Bayesian networks are :class:`course_lib.models.BNNRegressor`; those here only read its outputs in another way. The
first column of y is the target that is predicted, the others are there to help.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pyro.distributions as dist
import torch
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar
from sklearn.base import RegressorMixin
from torch import nn

from course_lib.models.bnn import BNNRegressor, prior_distribution
from course_lib.models.network import seeded, train
from course_lib.models.predictive import _Predictive

__all__ = ["ChainedTargets", "EraNetwork", "SharedTargets", "TargetHeads", "map_weights"]


class EraNetwork(RegressorMixin, _Predictive):
    """The study's point network: ReLU layers, He's initial weights, squared error, Adam, no early stopping.

    As it comes it is the study's baseline. With ``dropout`` and ``noise``, and several targets in y (each gets an
    output), it is the starter network. Networks that differ in ``random_state`` make a deep ensemble.

    Parameters
    ----------
    hidden : tuple of int
        Widths of the hidden layers; ``()`` is linear regression.
    dropout : float
        Share of the hidden units that is left out at each step.
    noise : float
        Standard deviation of normal noise on the scaled inputs while training.
    learning_rate : float
        Of Adam.
    batch_size : int
        Rows in an optimiser step, about: the batches of an epoch are of nearly equal size.
    n_epochs : int
    random_state : int

    Attributes
    ----------
    network_ : torch.nn.Module
    history_ : DataFrame
        Mean squared error of the standardised targets, epoch by epoch, in ``training``.
    y_mean_ : float
        Mean of the first target in training.
    y_scale_ : float
        Standard deviation of the first target in training (1 when that is 0).

    References
    ----------
    He et al., ICCV 2015 (initial weights); Gal & Ghahramani, ICML 2016 (dropout as a posterior).
    """

    def __init__(
        self,
        hidden: tuple[int, ...] = (128, 64, 64),
        *,
        dropout: float = 0.0,
        noise: float = 0.0,
        learning_rate: float = 1e-2,
        batch_size: int = 512,
        n_epochs: int = 30,
        random_state: int = 0,
    ) -> None:
        self.hidden = hidden
        self.dropout = dropout
        self.noise = noise
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.n_epochs = n_epochs
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike, after_epoch: Callable[[EraNetwork], None] | None = None) -> EraNetwork:
        """Fit on X of shape (n, p) and y of shape (n,) or (n, k).

        ``after_epoch`` is called with the model after each epoch. It may predict: what it sees does not change the fit.
        """
        X, Y = self._read_training(X, y, multi_output=True, y_numeric=True)
        Y = _columns(Y)
        mean, scale = Y.mean(axis=0), _scale(Y)
        self.y_mean_, self.y_scale_ = float(mean[0]), float(scale[0])
        X, Y = (torch.as_tensor(array, dtype=torch.float32) for array in (X, (Y - mean) / scale))
        with seeded(self.random_state):
            self.network_ = self._layers(X.shape[1], Y.shape[1])

            def loss(rows: torch.Tensor) -> torch.Tensor:
                inputs = X[rows] + self.noise * torch.randn(len(rows), X.shape[1]) if self.noise else X[rows]
                return nn.functional.mse_loss(self.network_(inputs), Y[rows])

            self.history_ = train(
                self.network_,
                loss,
                len(X),
                learning_rate=self.learning_rate,
                batch_size=self.batch_size,
                max_epochs=self.n_epochs,
                validation_share=0.0,
                after_epoch=None if after_epoch is None else lambda: after_epoch(self),
                random_state=self.random_state,
            )
        return self

    def _layers(self, n_in: int, n_out: int) -> nn.Sequential:
        layers: list[nn.Module] = []
        for n_from, n_to in pairwise([n_in, *self.hidden, n_out]):
            linear = nn.Linear(n_from, n_to)
            nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
            nn.init.zeros_(linear.bias)
            layers += [linear, nn.ReLU(), nn.Dropout(self.dropout)]
        return nn.Sequential(*layers[:-2])

    def _first(self, X: torch.Tensor) -> np.ndarray:
        # in double precision: in single, the rows beside a row change its last digits
        weights = {name: weight.double() for name, weight in self.network_.named_parameters()}
        with torch.no_grad():
            outputs = torch.func.functional_call(self.network_, weights, X.double())
        return outputs[:, 0].numpy() * self.y_scale_ + self.y_mean_

    def _inputs(self, X: ArrayLike) -> torch.Tensor:
        return torch.as_tensor(self._read_new(X), dtype=torch.float32)

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Predict the first target, shape (n,)."""
        X = self._inputs(X)
        self.network_.eval()
        return self._first(X)

    def sample_functions(self, X: ArrayLike, n_samples: int = 100, random_state: int = 0) -> Iterator[np.ndarray]:
        """Predictions of the first target with random units left out, as in training, one at a time.

        Raises
        ------
        ValueError
            Without dropout: all samples would be the same.
        """
        if not self.dropout > 0:
            raise ValueError("dropout is 0: without it there is nothing to sample")
        X = self._inputs(X)
        for seed in np.random.default_rng(random_state).integers(2**31, size=n_samples):
            with seeded(int(seed)):
                self.network_.train()
                values = self._first(X)
                self.network_.eval()
            yield values


def _columns(y: np.ndarray) -> np.ndarray:
    return y[:, None] if y.ndim == 1 else y


def _scale(y: np.ndarray) -> np.ndarray:
    scale = y.std(axis=0)
    return np.where(scale > 0, scale, 1.0)


class _SeveralTargets(BNNRegressor):
    """Bayesian network for y of shape (n, k); all targets have one noise, in units of their standard deviations."""

    def fit(self, X: ArrayLike, y: ArrayLike) -> _SeveralTargets:
        """Fit on X of shape (n, p) and y of shape (n, k), the target to predict in the first column."""
        X, Y = self._read_training(X, y, multi_output=True, y_numeric=True)
        Y = _columns(Y)
        mean, scale = Y.mean(axis=0), _scale(Y)
        self.y_mean_, self.y_scale_, self.n_targets_ = float(mean[0]), float(scale[0]), Y.shape[1]
        self._fit(X, (Y - mean) / scale)
        return self

    def _likelihood(self, f: torch.Tensor) -> dist.Distribution:
        return super()._likelihood(f).to_event(1)

    def _functions(self, X: np.ndarray, n_samples: int, random_state: int) -> Iterator[np.ndarray]:
        for values in super()._functions(X, n_samples, random_state):
            yield values[:, 0]


class SharedTargets(_SeveralTargets):
    """The study's model 1: all targets are measurements of one and the same output."""

    def _read_out(self, outputs: torch.Tensor, weights: dict[str, torch.Tensor]) -> torch.Tensor:
        return outputs.expand(*outputs.shape[:-1], self.n_targets_)


class TargetHeads(_SeveralTargets):
    """The study's models 2 (three kinds) and 3 (two horizons): each target has its own output of one last layer."""

    @property
    def _n_out(self) -> int:
        return self.n_targets_

    def _read_out(self, outputs: torch.Tensor, weights: dict[str, torch.Tensor]) -> torch.Tensor:
        return outputs


class ChainedTargets(_SeveralTargets):
    """The study's model 4: the mean of the second target (60 days) feeds the mean of the first (20 days).

    The posterior of the weight between them is ``guide_.location["chain"]`` with ``guide_.log_width["chain"]``.
    """

    _n_out = 2
    _further_weights: ClassVar[dict[str, tuple[int, ...]]] = {"chain": (1,)}

    def fit(self, X: ArrayLike, y: ArrayLike) -> ChainedTargets:
        """Fit on X of shape (n, p) and y of shape (n, 2): first the target to predict, then the one that feeds it."""
        if np.shape(y)[1:] != (2,):
            raise ValueError(
                f"y has shape {np.shape(y)}: give two columns, the one to predict and the one that feeds it"
            )
        return super().fit(X, y)

    def _read_out(self, outputs: torch.Tensor, weights: dict[str, torch.Tensor]) -> torch.Tensor:
        own, second = outputs[..., :1], outputs[..., 1:]
        return torch.cat([own + weights["chain"].unsqueeze(-2) * second, second], dim=-1)


def map_weights(
    X: ArrayLike, y: ArrayLike, *, prior: str, prior_scale: float, noise: float, n_sweeps: int = 500
) -> np.ndarray:
    """Most probable weights of a linear model without bias under one of the Bayesian network's priors.

    Climbs the posterior density itself, one weight after the other by Brent's method, so that nothing about penalties
    is put in: whether it ends where a penalised fit does is then a finding.

    Parameters
    ----------
    X : array-like of shape (n, p)
    y : array-like of shape (n,)
    prior : {"normal", "laplace", "uniform"}
        Prior of each weight, around 0; "uniform" is flat over all numbers.
    prior_scale : float
        Standard deviation of a weight under the prior.
    noise : float
        Standard deviation of the noise of y, taken as known.
    n_sweeps : int
        At most so many rounds over the weights.

    Returns
    -------
    ndarray of shape (p,)

    Raises
    ------
    RuntimeError
        When the weights still move after ``n_sweeps`` rounds: the columns of X are nearly dependent.
    """
    X, residual = np.asarray(X, dtype=float), np.array(y, dtype=float)
    density, weights = prior_distribution(prior, prior_scale, (1,)), np.zeros(X.shape[1])
    for _ in range(n_sweeps):
        before = weights.copy()
        for j, column in enumerate(X.T):
            rest = residual + column * weights[j]

            def minus_log_posterior(value: float, rest: np.ndarray = rest, column: np.ndarray = column) -> float:
                error = rest - column * value
                return error @ error / (2 * noise**2) - float(density.log_prob(torch.tensor([value]).double()))

            weights[j] = minimize_scalar(minus_log_posterior, bracket=(weights[j] - 0.1, weights[j] + 0.1)).x
            residual = rest - column * weights[j]
        if np.abs(weights - before).max() <= 1e-7 * np.abs(weights).max():
            return weights
    raise RuntimeError(f"the weights still move after {n_sweeps} rounds: are columns of X nearly dependent?")
