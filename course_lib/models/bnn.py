"""Bayesian neural networks: every weight has a distribution, found by stochastic variational inference with Pyro.

The posterior is taken to be normal and independent over the weights (mean field). That is crude where inputs correlate,
as descriptors do: the bound then prefers to leave the weights at their prior, and the network learns nothing (Coker et
al., AISTATS 2022). The remedy here keeps the bound honest, without weighing the prior down: the inputs are rotated to
their principal components. A normal or flat prior does not see a rotation, so the model is the same one, but the
posterior of the first layer comes near to independent (without hidden layers: exactly). A Laplace prior does see it:
it then asks for few components, not for few descriptors.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pyro
import pyro.distributions as dist
import torch
from pyro.infer import TraceMeanField_ELBO
from scipy.special import expit
from torch import nn
from torch.distributions import constraints

from course_lib.models.network import PrincipalAxes, seeded, train
from course_lib.models.predictive import Moments, PredictiveClassifier, PredictiveRegressor

__all__ = ["BNNClassifier", "BNNRegressor", "prior_distribution"]

N_PARTICLES = 4  # draws of the weights in one estimate of the bound
START_WIDTH = 1e-2  # of a posterior, in units of its prior: the bound is learned from a nearly fixed network outwards


def prior_distribution(kind: str, scale: float, shape: tuple[int, ...]) -> dist.Distribution:
    """Prior of a tensor of independent weights.

    Parameters
    ----------
    kind : {"normal", "laplace", "uniform"}
        "uniform" is flat over all numbers and improper: its log density is 0 everywhere.
    scale : float
        Standard deviation of a weight (for "laplace" too, whose own scale is smaller by the root of 2).
    shape : tuple of int
        Shape of the tensor, which is one event.

    Raises
    ------
    ValueError
        For another kind, or a scale that is not above 0.
    """
    if not scale > 0:
        raise ValueError(f"the prior's scale is {scale!r}: give a standard deviation above 0")
    if kind == "normal":
        return dist.Normal(0.0, scale).expand(shape).to_event(len(shape))
    if kind == "laplace":
        return dist.Laplace(0.0, scale / math.sqrt(2)).expand(shape).to_event(len(shape))
    if kind == "uniform":
        return dist.ImproperUniform(constraints.independent(constraints.real, len(shape)), (), shape)
    raise ValueError(f"prior is {kind!r}: choose 'normal', 'laplace' or 'uniform'")


class _MeanField(nn.Module):
    """Pyro guide of independent normals; its parameters are torch's own, so Pyro's global store stays empty."""

    def __init__(self, start: dict[str, torch.Tensor], width: dict[str, float]) -> None:
        super().__init__()
        self.names = list(start)  # in the model's order, as Pyro's bound wants it
        self.location = nn.ParameterDict({name: nn.Parameter(value.clone()) for name, value in start.items()})
        self.log_width = nn.ParameterDict(
            {name: nn.Parameter(torch.full_like(value, math.log(width[name]))) for name, value in start.items()}
        )
        self.log_noise = nn.Parameter(torch.tensor(math.log(0.5)))

    def forward(self, X: torch.Tensor, y: torch.Tensor) -> None:
        for name in self.names:
            location = self.location[name]
            normal = dist.Normal(location, self.log_width[name].exp())
            pyro.sample(name, normal.to_event(location.dim()))

    def draw(self, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """One set of weights from the posterior."""
        return {
            name: self.location[name]
            + self.log_width[name].exp() * torch.randn(self.location[name].shape, generator=generator)
            for name in self.names
        }


class _BNN:
    """What the regressor and the classifier share; subclasses with several targets change how the outputs are read."""

    _n_out = 1
    _further_weights: ClassVar[dict[str, tuple[int, ...]]] = {}  # name and shape of weights outside the layers

    TUNE_SPACE: ClassVar[dict[str, tuple]] = {
        "prior_scale": ("log10", 0.1, 3.0),
        "learning_rate": ("log10", 3e-3, 3e-2),
    }

    def __init__(
        self,
        hidden: tuple[int, ...] = (16,),
        *,
        prior: str = "normal",
        prior_scale: float = 1.0,
        n_samples: int = 200,
        learning_rate: float = 1e-2,
        batch_size: int = 256,
        n_steps: int = 1000,
        random_state: int = 0,
    ) -> None:
        self.hidden = hidden
        self.prior = prior
        self.prior_scale = prior_scale
        self.n_samples = n_samples
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.n_steps = n_steps
        self.random_state = random_state

    def _function(self, X: torch.Tensor, weights: dict[str, torch.Tensor]) -> torch.Tensor:
        """Value of the network for each row, shape (..., n) for weights with leading dimensions (...)."""
        for layer in range(len(self.hidden) + 1):
            X = (torch.relu(X) if layer else X) @ weights[f"weight_{layer}"] + weights[f"bias_{layer}"].unsqueeze(-2)
        return self._read_out(X, weights)

    def _read_out(self, outputs: torch.Tensor, weights: dict[str, torch.Tensor]) -> torch.Tensor:
        """Make what y is compared with, shape (..., n) or (..., n, k) for k targets, from outputs (..., n, n_out)."""
        return outputs[..., 0]

    def _fit(self, X: np.ndarray, y: np.ndarray) -> None:
        self.axes_ = PrincipalAxes(X)
        X, y = self.axes_(X), torch.as_tensor(y, dtype=torch.float32)
        n, widths = len(y), [X.shape[1], *self.hidden, self._n_out]
        scales = dict.fromkeys(self._further_weights, self.prior_scale)
        priors = {
            name: prior_distribution(self.prior, self.prior_scale, shape)
            for name, shape in self._further_weights.items()
        }
        for layer, (n_in, n_out) in enumerate(pairwise(widths)):
            # He: the variance of a weight is 2 / (number of inputs), so that signals keep their size
            scales |= {f"weight_{layer}": self.prior_scale * math.sqrt(2 / n_in), f"bias_{layer}": self.prior_scale}
            shapes = {f"weight_{layer}": (n_in, n_out), f"bias_{layer}": (n_out,)}
            priors |= {name: prior_distribution(self.prior, scales[name], shape) for name, shape in shapes.items()}

        def model(X: torch.Tensor, y: torch.Tensor) -> None:
            weights = {name: pyro.sample(name, prior) for name, prior in priors.items()}
            f = self._function(X, weights)
            f = f.squeeze(1) if f.dim() > y.dim() else f  # several particles: (particles, 1, rows)
            with pyro.plate("rows", n, subsample=torch.arange(len(y))):  # counts each row n / batch times
                pyro.sample("y", self._likelihood(f), obs=y)

        # Pyro's checks of each tensor in each step cost a sixth of the time; train() stops at a loss that is not finite
        with seeded(self.random_state), pyro.validation_enabled(False):
            start = {
                name: torch.randn(prior.event_shape) * scales[name]
                if name.startswith("weight")
                else torch.zeros(prior.event_shape)
                for name, prior in priors.items()
            }
            self.guide_ = _MeanField(start, {name: START_WIDTH * scale for name, scale in scales.items()})
            bound = TraceMeanField_ELBO(num_particles=N_PARTICLES, vectorize_particles=True, max_plate_nesting=1)
            self.history_ = train(
                self.guide_,
                lambda rows: bound.differentiable_loss(model, self.guide_, X[rows], y[rows]) / n,
                n,
                learning_rate=self.learning_rate,
                batch_size=self.batch_size,
                max_epochs=math.ceil(self.n_steps / max(1, round(n / self.batch_size))),
                validation_share=0.0,
                cosine=True,
                random_state=self.random_state,
            )

    def _likelihood(self, f: torch.Tensor) -> dist.Distribution:
        raise NotImplementedError

    def _functions(self, X: np.ndarray, n_samples: int, random_state: int) -> Iterator[np.ndarray]:
        """Values of the network under posterior samples, one sample at a time, each of shape (n,)."""
        generator = torch.Generator().manual_seed(int(random_state))
        X = self.axes_(X)
        for _ in range(n_samples):
            with torch.no_grad():
                yield self._function(X, self.guide_.draw(generator)).double().numpy()


class BNNRegressor(_BNN, PredictiveRegressor):
    """Bayesian neural network for a number, with a learned noise term, so that sigma is that of a measurement.

    The evidence lower bound is maximised over all rows, at full weight of the prior; the prior is the regulariser, so
    no rows are held back to stop early. The learning rate falls to 0 along half a cosine, as the bound is an estimate.

    Parameters
    ----------
    hidden : tuple of int
        Widths of the hidden layers (ReLU); ``()`` is Bayesian linear regression.
    prior : {"normal", "laplace", "uniform"}
        "uniform" is flat and improper, the other two pull towards 0 (as L2 and L1 do).
    prior_scale : float
        Standard deviation of a weight's prior in units of He's, the root of 2 / (number of inputs).
    n_samples : int
        Posterior samples behind ``predict``, always the same ones.
    learning_rate : float
        Of Adam, at the start.
    batch_size : int
        Rows in an optimiser step, about: the batches of an epoch are of nearly equal size.
    n_steps : int
        Optimiser steps, whatever the number of rows.
    random_state : int
        Seed of start, batches and samples.

    Attributes
    ----------
    guide_ : torch.nn.Module
        The posterior: ``location``, ``log_width`` by weight, and ``log_noise`` (of the standardised target).
    history_ : DataFrame
        Minus the bound per row, epoch by epoch, in ``training``.

    References
    ----------
    Blundell et al., ICML 2015 (variational inference); He et al., ICCV 2015 (scale of the weights).
    """

    def _likelihood(self, f: torch.Tensor) -> dist.Distribution:
        return dist.Normal(f, self.guide_.log_noise.exp())

    def _moments(self, X: np.ndarray) -> Moments:
        samples = np.array(list(self._functions(X, self.n_samples, self.random_state)))
        noise = np.full(len(X), math.exp(2 * self.guide_.log_noise.item()))
        return Moments(samples.mean(axis=0), samples.var(axis=0), noise)

    def sample_functions(self, X, n_samples: int = 1000, random_state: int = 0) -> Iterator[np.ndarray]:
        """Predictions under posterior samples, without noise, one sample at a time.

        Parameters
        ----------
        X : array-like of shape (n, p)
        n_samples : int
        random_state : int
            Seed of the samples.

        Yields
        ------
        ndarray of shape (n,)
            In the unit of y. Only one is held in memory.
        """
        for values in self._functions(self._read_new(X), n_samples, random_state):
            yield values * self.y_scale_ + self.y_mean_


class BNNClassifier(_BNN, PredictiveClassifier):
    """Bayesian neural network for two classes; parameters and attributes as in :class:`BNNRegressor`."""

    def _likelihood(self, f: torch.Tensor) -> dist.Distribution:
        return dist.Bernoulli(logits=f)

    def _probability_samples(self, X: np.ndarray) -> np.ndarray:
        return expit(np.array(list(self._functions(X, self.n_samples, self.random_state))))
