"""Graph neural networks: from the atoms and bonds of a molecule to its property, without descriptors in between.

The layer is GINE (Hu et al., ICLR 2020): each atom adds up what its neighbours send along their bonds, and a small
network turns the sum into the atom's new features. A molecule is the sum and the mean over its atoms.

Why not PyTorch Geometric: its import takes longer than that of torch, and 130 MB, an eighth of what a notebook
of the course may use; all that is needed of it are the few lines of :class:`GIN` and :func:`batch`. A test compares
the layer with its ``GINEConv``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.special import expit
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import assert_all_finite, check_consistent_length
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted, column_or_1d
from torch import nn
from torch.nn import functional

from course_lib.featurize.graphs import ATOM_FEATURES, BOND_FEATURES, Graph, graphs
from course_lib.models.network import seeded, train
from course_lib.models.predictive import Moments, PredictiveClassifier, PredictiveRegressor

__all__ = ["GIN", "Batch", "GNNClassifier", "GNNEmbedding", "GNNRegressor", "TrainedNetwork", "batch"]

CHUNK = 500  # molecules predicted at a time
PATIENCE = 0.4  # of the epochs
MIN_VARIANCE = 1e-4  # of a target with variance 1
SIZE = 10.0  # sums over atoms are divided by it, so that they are about as large as means


class Batch(NamedTuple):
    """Several molecules as one graph without bonds between them.

    Attributes
    ----------
    atoms : Tensor of float, shape (n_atoms, len(ATOM_FEATURES))
    bonds : Tensor of float, shape (n_bonds, len(BOND_FEATURES))
        Each bond twice, once in each direction.
    source : Tensor of int, shape (n_bonds,)
        Atom that the bond leads from.
    target : Tensor of int, shape (n_bonds,)
        Atom that the bond leads to.
    molecule : Tensor of int, shape (n_atoms,)
        Molecule that the atom belongs to.
    n_molecules : int
    """

    atoms: torch.Tensor
    bonds: torch.Tensor
    source: torch.Tensor
    target: torch.Tensor
    molecule: torch.Tensor
    n_molecules: int


def batch(molecules: Iterable[Graph]) -> Batch:
    """Put graphs side by side."""
    atoms, bonds, edges = zip(*molecules, strict=True)
    sizes = [len(rows) for rows in atoms]
    first = np.cumsum([0, *sizes[:-1]])
    source, target = np.concatenate([pair + start for pair, start in zip(edges, first, strict=True)], axis=1)
    return Batch(
        torch.from_numpy(np.concatenate(atoms)).float(),
        torch.from_numpy(np.concatenate(bonds)).float(),
        torch.from_numpy(source).long(),
        torch.from_numpy(target).long(),
        torch.from_numpy(np.repeat(np.arange(len(sizes)), sizes)),
        len(sizes),
    )


def pool(h: torch.Tensor, molecules: Batch) -> torch.Tensor:
    """Sum (divided by 10) and mean over the atoms of each molecule: (n_atoms, p) to (n_molecules, 2 * p)."""
    total = h.new_zeros(molecules.n_molecules, h.shape[1]).index_add(0, molecules.molecule, h)
    size = torch.bincount(molecules.molecule, minlength=molecules.n_molecules)[:, None]
    return torch.cat([total / SIZE, total / size], dim=1)


class GIN(nn.Module):
    """Graph isomorphism network with bond features: :class:`Batch` in, one row of features a molecule out.

    Layers normalise each atom by itself (layer norm), so that a molecule's features do not depend on the others in its
    batch, nor on how many there are.

    Parameters
    ----------
    hidden : int
        Features of an atom. A molecule has ``width = 2 * hidden``: their sum (divided by 10) and their mean. Either
        alone told enthalpies of sublimation far worse from 120 molecules, and permittivities about as well.
    n_layers : int
        An atom hears of others up to so many bonds away.
    dropout : float
        Share of an atom's new features that are left out in training.

    References
    ----------
    Xu et al., ICLR 2019, equation 4.1 with epsilon = 0; bond features as in Hu et al., ICLR 2020.
    """

    def __init__(self, hidden: int = 64, n_layers: int = 3, dropout: float = 0.0) -> None:
        super().__init__()
        self.width = 2 * hidden
        self.encoder = nn.Linear(len(ATOM_FEATURES), hidden)
        self.bonds = nn.ModuleList(nn.Linear(len(BOND_FEATURES), hidden) for _ in range(n_layers))
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Linear(hidden, hidden),
                nn.ReLU(),
                nn.Linear(hidden, hidden),
                nn.LayerNorm(hidden),
                nn.ReLU(),
                nn.Dropout(dropout),
            )
            for _ in range(n_layers)
        )

    def forward(self, molecules: Batch) -> torch.Tensor:
        """Features of the molecules, shape (n_molecules, 2 * hidden)."""
        h = self.encoder(molecules.atoms)
        for number in range(len(self.layers)):
            h = self.step(number, h, molecules)
        return pool(h, molecules)

    def step(self, number: int, h: torch.Tensor, molecules: Batch) -> torch.Tensor:
        """Features of the atoms after one layer, shape (n_atoms, hidden) as before it."""
        # index_select, not h[source]: the gradient of the latter is added up in any order by several threads
        message = functional.relu(h.index_select(0, molecules.source) + self.bonds[number](molecules.bonds))
        return h + self.layers[number](h.index_add(0, molecules.target, message))


class SmilesInput:
    """Mixin of the estimators that read SMILES: X of shape (n,) or one column of a table."""

    def _read_training(self, X, y, **check):
        molecules = _molecules(X)
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y", estimator_name=type(self).__name__)
        check_consistent_length(molecules, y)
        if len(molecules) < 2:
            raise ValueError(f"{type(self).__name__} needs at least 2 molecules to learn from, got {len(molecules)}")
        return molecules, y

    def _read_new(self, X):
        check_is_fitted(self)
        return _molecules(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.one_d_array, tags.input_tags.two_d_array = True, True, False
        tags.input_tags.allow_nan = False
        return tags


def _molecules(X) -> list[Graph]:
    """Graphs of the SMILES in X."""
    table = np.asarray(X, dtype=object)
    if table.ndim == 2 and table.shape[1] == 1:
        table = table[:, 0]
    if table.ndim != 1:
        raise ValueError(f"X must be SMILES of shape (n,) or one column of them, got an array of shape {table.shape}")
    return graphs(table)


class _Network(nn.Module):
    """GIN, a layer of width ``dim`` (the embedding), and an output."""

    def __init__(self, hidden: int, n_layers: int, dropout: float, dim: int) -> None:
        super().__init__()
        self.gin = GIN(hidden, n_layers, dropout)
        self.embed = nn.Linear(self.gin.width, dim)
        self.output = nn.Linear(dim, 1)

    def embedding(self, molecules: Batch) -> torch.Tensor:
        """Return features of the molecules, shape (n_molecules, dim)."""
        return self.embed(self.gin(molecules))

    def forward(self, molecules: Batch) -> torch.Tensor:
        """One number a molecule, shape (n_molecules,)."""
        return self.output(functional.relu(self.embedding(molecules)))[:, 0]


def in_chunks(function, molecules: list[Graph]) -> np.ndarray:
    """Values of function(batch) for all molecules, without gradients."""
    with torch.no_grad():
        parts = [function(batch(molecules[i : i + CHUNK])) for i in range(0, len(molecules), CHUNK)]
    return torch.cat(parts).double().numpy()


class TrainedNetwork(SmilesInput):
    """What regressor, classifier, embedding and graph-GP share: the parameters, and members that differ by their seed.

    Parameters and attributes are described in :class:`GNNRegressor`.
    """

    TUNE_SPACE: ClassVar = {
        "n_layers": ("int", 2, 5),
        "dropout": ("float", 0.0, 0.3),
        "learning_rate": ("log10", 5e-4, 1e-2),
    }
    """What is worth tuning at small n, for ``tune(..., space=...)`` with grouped folds of the training rows."""

    def __init__(
        self,
        n_members: int = 3,
        *,
        hidden: int = 64,
        n_layers: int = 3,
        dropout: float = 0.1,
        dim: int = 64,
        learning_rate: float = 2e-3,
        weight_decay: float = 0.0,
        batch_size: int = 32,
        max_steps: int = 600,
        validation_share: float = 0.15,
        random_state: int = 0,
    ) -> None:
        self.n_members = n_members
        self.hidden = hidden
        self.n_layers = n_layers
        self.dropout = dropout
        self.dim = dim
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_steps = max_steps
        self.validation_share = validation_share
        self.random_state = random_state

    def _train(self, molecules, y, loss) -> None:
        """Train the members; ``loss(outputs, y)`` is the mean over the rows given."""
        if self.n_members < 1:
            raise ValueError(f"n_members must be at least 1, not {self.n_members}")
        y = torch.as_tensor(y, dtype=torch.float32)
        n_batches = max(1, round((1 - self.validation_share) * len(molecules) / self.batch_size))
        epochs = max(1, round(self.max_steps / n_batches))
        self.members_, self.histories_, self.held_ = [], [], []
        self.seeds_ = np.random.default_rng(self.random_state).integers(2**31, size=self.n_members).tolist()
        for seed in self.seeds_:
            with seeded(seed):
                network, held = _Network(self.hidden, self.n_layers, self.dropout, self.dim), []

                def value(rows, network=network):
                    return loss(network(batch(molecules[row] for row in rows.tolist())), y[rows])

                def watched(rows, held=held, value=value):
                    held[:] = rows.tolist()
                    return value(rows)

                history = train(
                    network,
                    value,
                    len(molecules),
                    score=watched,
                    learning_rate=self.learning_rate,
                    weight_decay=self.weight_decay,
                    batch_size=self.batch_size,
                    max_epochs=epochs,
                    patience=max(1, round(PATIENCE * epochs)),
                    validation_share=self.validation_share,
                    random_state=seed,
                )
            self.members_.append(network)
            self.histories_.append(history)
            self.held_.append(np.array(held, dtype=int))

    def _outputs(self, molecules) -> np.ndarray:
        """Return outputs of the members, shape (n_members, n)."""
        return np.stack([in_chunks(network, molecules) for network in self.members_])

    def _embeddings(self, molecules) -> list[np.ndarray]:
        """Embedding of each member, shape (n, dim)."""
        return [in_chunks(network.embedding, molecules) for network in self.members_]


class GNNRegressor(TrainedNetwork, PredictiveRegressor):
    """Graph network with one noise variance, estimated on rows that the network was not trained on.

    The network is trained by squared error. The mean squared error on the rows held back for early stopping is the
    aleatoric variance, so it holds label noise and what the network cannot explain of a new molecule alike. It is the
    smallest over the epochs, and of a few rows when n is small: rather too low than too high. A variance per molecule,
    learned by likelihood, was tried in its place: for 120 enthalpies of sublimation R2 and likelihood were far worse.

    With ``n_members`` above 1 the prediction is the mean over the members and their variance is the epistemic part; a
    single network has none.

    X is SMILES of shape (n,).

    Parameters
    ----------
    n_members : int
        Networks trained from different starts, each with other rows held back for early stopping.
    hidden : int
        Features of an atom. A molecule has twice as many: their sum over its atoms and their mean.
    n_layers : int
        An atom hears of others up to so many bonds away.
    dropout : float
        Share of an atom's new features that are left out in training.
    dim : int
        Width of the layer before the output: the embedding.
    learning_rate : float
        Of Adam.
    weight_decay : float
        L2 penalty on the weights, as Adam takes it.
    batch_size : int
        Molecules in an optimiser step, about: the batches of an epoch are of nearly equal size.
    max_steps : int
        Batches that a member is trained on at most. Counted in steps, not in epochs, so that few molecules are seen
        often enough and many do not take long. It stops when two fifths of it brought nothing.
    validation_share : float
        Share of the molecules held back for early stopping. With 0, or fewer than 10 molecules, none are.
    random_state : int
        Seed of the members' seeds.

    Attributes
    ----------
    members_ : list of torch.nn.Module
        The networks.
    histories_ : list of DataFrame
        Training and validation loss of each member, one row an epoch.
    seeds_ : list of int
        Seed of each member.
    held_ : list of ndarray of int
        Training rows that each member held back for early stopping; none when there were too few to spare any.
    noise_ : float
        Aleatoric variance of the standardised target.

    References
    ----------
    Early training by the likelihood of a variance per row: Seitzer et al., ICLR 2022. Ensembles: Lakshminarayanan et
    al., NeurIPS 2017.
    """

    def _fit(self, X, y):
        self._train(X, y, functional.mse_loss)
        errors = [history["validation"].min() for history in self.histories_]
        if np.isnan(errors).any():  # too few rows to hold any back
            errors = [history["training"].iloc[-1] for history in self.histories_]
        self.noise_ = max(float(np.mean(errors)), MIN_VARIANCE)

    def _moments(self, X):
        outputs = self._outputs(X)
        spread = outputs.var(axis=0) if self.n_members > 1 else np.full(outputs.shape[1], np.nan)
        return Moments(outputs.mean(axis=0), spread, np.full(outputs.shape[1], self.noise_))


class GNNClassifier(TrainedNetwork, PredictiveClassifier):
    """Graph network for two classes, trained by cross-entropy; the probability is the mean over the members.

    ``predict_parts`` needs ``n_members`` above 1. Parameters (number and size of the networks, and how they are
    trained) and attributes, but for ``noise_``, as in :class:`GNNRegressor`; X is SMILES of shape (n,).
    """

    def _fit(self, X, t):
        self._train(X, t, functional.binary_cross_entropy_with_logits)

    def _probability(self, X):
        return expit(self._outputs(X)).mean(axis=0)

    def _probability_samples(self, X):
        return expit(self._outputs(X)) if self.n_members > 1 else super()._probability_samples(X)


class GNNEmbedding(TrainedNetwork, TransformerMixin, BaseEstimator):
    """Features of molecules learned by a graph network, for another model in a ``Pipeline``.

    ``fit`` trains the network on the given rows alone. A binary target is learned by cross-entropy, a numeric one by
    squared error; ``transform`` gives the last layer but one (before its ReLU), members side by side.

    The embedding of a training molecule has seen its target, that of a new one has not. So a model fitted on the
    training rows' embeddings takes them for better than they are, and its predictions are good but its standard
    deviations far too small. :class:`~course_lib.models.gnn_gp.GNNGPRegressor` takes the hyperparameters of its process
    from rows that were held back from the network instead.

    Parameters (number and size of the networks, and how they are trained) and attributes, but for ``noise_``, as in
    :class:`GNNRegressor`; the embedding has ``n_members * dim`` columns.
    """

    def fit(self, X: ArrayLike, y: ArrayLike) -> GNNEmbedding:
        """Train on SMILES of shape (n,) and a target of shape (n,).

        Raises
        ------
        MoleculeError
            When a SMILES cannot be read; names the row.
        ValueError
            For fewer than 2 rows, lengths that differ, more than two classes of text.
        """
        molecules, y = self._read_training(X, y)
        if type_of_target(y, input_name="y") == "binary":
            t = np.unique(y, return_inverse=True)[1]
            self._train(molecules, t, functional.binary_cross_entropy_with_logits)
        else:
            y = y.astype(float)
            self._train(molecules, (y - y.mean()) / (y.std() or 1.0), functional.mse_loss)
        return self

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Embeddings of shape (n, n_members * dim) of SMILES of shape (n,)."""
        return np.hstack(self._embeddings(self._read_new(X)))
