"""Deep ensembles: networks that differ by their start and by the rows that stop them, and what they disagree about.

Every member has two outputs, a mean and a variance of the noise, trained by the likelihood of a normal distribution
(Lakshminarayanan et al., NeurIPS 2017). The variance of the means is epistemic, the mean of the variances aleatoric.
Early stopping and the standardised target kept this likelihood stable at every size that was tried, so there is no
warm-up of the mean and no other weighting of the rows (such as Seitzer et al., ICLR 2022). Unlike in the paper there
are no adversarial examples.
"""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from course_lib.models.network import seeded, train
from course_lib.models.predictive import Moments, PredictiveClassifier, PredictiveRegressor

__all__ = ["DeepEnsembleClassifier", "DeepEnsembleRegressor", "perceptron"]

MIN_VARIANCE = 1e-4  # of a target with variance 1; below it a single row could pull the loss down without end


def perceptron(n_in: int, hidden: tuple[int, ...], n_out: int) -> nn.Sequential:
    """Multi-layer perceptron with ReLU between its layers; torch's own initial weights."""
    widths = [n_in, *hidden, n_out]
    layers: list[nn.Module] = []
    for n_from, n_to in pairwise(widths):
        layers += [nn.Linear(n_from, n_to), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class _DeepEnsemble:
    """What the regressor and the classifier share."""

    TUNE_SPACE: ClassVar[dict[str, tuple]] = {
        "weight_decay": ("log10", 1e-5, 1e-1),
        "learning_rate": ("log10", 1e-3, 2e-2),
    }

    def __init__(
        self,
        n_members: int = 5,
        *,
        hidden: tuple[int, ...] = (64, 64),
        learning_rate: float = 5e-3,
        weight_decay: float = 1e-2,
        batch_size: int = 32,
        max_epochs: int = 300,
        patience: int = 30,
        validation_share: float = 0.15,
        random_state: int = 0,
    ) -> None:
        self.n_members = n_members
        self.hidden = hidden
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation_share = validation_share
        self.random_state = random_state

    def _fit(self, X, y) -> None:
        X, y = (torch.as_tensor(array, dtype=torch.float32) for array in (X, y))
        seeds = np.random.default_rng(self.random_state).integers(2**31, size=self.n_members)
        self.members_, self.histories_ = [], []
        for seed in map(int, seeds):
            with seeded(seed):
                network = perceptron(X.shape[1], self.hidden, self._n_out)
                history = train(
                    network,
                    lambda rows, network=network: self._loss(network(X[rows]), y[rows]),
                    len(X),
                    learning_rate=self.learning_rate,
                    weight_decay=self.weight_decay,
                    batch_size=self.batch_size,
                    max_epochs=self.max_epochs,
                    patience=self.patience,
                    validation_share=self.validation_share,
                    random_state=seed,
                )
            self.members_.append(network)
            self.histories_.append(history)

    def _outputs(self, X) -> torch.Tensor:
        """Return the outputs of the members, shape (n_members, n, n_out)."""
        X = torch.as_tensor(X, dtype=torch.float32)
        with torch.no_grad():
            return torch.stack([network(X) for network in self.members_]).double()


class DeepEnsembleRegressor(_DeepEnsemble, PredictiveRegressor):
    """Ensemble of networks with a mean and a noise variance for each row.

    Parameters
    ----------
    n_members : int
        Number of networks.
    hidden : tuple of int
        Widths of the hidden layers.
    learning_rate : float
        Of Adam.
    weight_decay : float
        L2 penalty on the weights, as Adam takes it.
    batch_size : int
        Rows in an optimiser step, about: the batches of an epoch are of nearly equal size.
    max_epochs : int
        Passes over the rows, at most.
    patience : int
        A member stops after so many epochs without a better loss on the rows that it holds back, and keeps its best.
    validation_share : float
        Share of the rows that a member holds back. Each holds back rows of its own, so all are used. With 0, or fewer
        than 10 rows, none are held back.
    random_state : int
        Seed of the members' seeds.

    Attributes
    ----------
    members_ : list of torch.nn.Module
    histories_ : list of DataFrame
        Training and validation loss of each member, one row an epoch.

    References
    ----------
    Lakshminarayanan, Pritzel & Blundell, Advances in Neural Information Processing Systems 2017, 30.
    """

    _n_out = 2

    @staticmethod
    def _loss(outputs, y):
        variance = functional.softplus(outputs[:, 1]) + MIN_VARIANCE
        return functional.gaussian_nll_loss(outputs[:, 0], y, variance, full=True, eps=MIN_VARIANCE)

    def _moments(self, X) -> Moments:
        mean, raw = self._outputs(X).numpy().transpose(2, 0, 1)
        variance = np.logaddexp(0, raw) + MIN_VARIANCE
        return Moments(mean.mean(axis=0), mean.var(axis=0), variance.mean(axis=0))


class DeepEnsembleClassifier(_DeepEnsemble, PredictiveClassifier):
    """Ensemble of networks with one logit; parameters and attributes as in :class:`DeepEnsembleRegressor`."""

    _n_out = 1

    @staticmethod
    def _loss(outputs, t):
        return functional.binary_cross_entropy_with_logits(outputs[:, 0], t)

    def _probability_samples(self, X) -> np.ndarray:
        return torch.sigmoid(self._outputs(X)[..., 0]).numpy()
