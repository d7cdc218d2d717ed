"""How every network of the course is trained: all rows in every epoch, early stopping on rows held back, one seed.

Networks as small as these do not gain from several threads, and lose much on a busy machine: training takes one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd
import torch

__all__ = ["PrincipalAxes", "one_thread", "seeded", "train"]

MIN_FOR_VALIDATION = 10  # fewer training rows cannot spare any


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on one thread inside the block, so that sums come out the same on any machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def seeded(random_state) -> Iterator[None]:
    """Draw torch's random numbers from this seed inside the block, and leave the caller's own stream as it was."""
    seed = int(np.random.default_rng(random_state).integers(2**31))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


class PrincipalAxes:
    """Rotation of the inputs to their principal components, all scaled alike so that a mean square is 1.

    No whitening: distances keep their proportions. Directions in which the training rows do not vary are left out; a
    model behind it does not see how far a new row lies off them.

    Parameters
    ----------
    X : ndarray of shape (n, p)
        Training rows.
    n_max : int, optional
        Keep the first so many components.
    """

    def __init__(self, X: np.ndarray, n_max: int | None = None) -> None:
        self.mean = X.mean(axis=0)
        _, size, axes = np.linalg.svd(X - self.mean, full_matrices=False)
        kept = axes[size > 1e-6 * size[0]][:n_max]
        self.axes = kept.T / np.sqrt(np.mean(((X - self.mean) @ kept.T) ** 2))

    def __call__(self, X: np.ndarray) -> torch.Tensor:
        """Tensor of float32 of shape (n, n_kept)."""
        return torch.as_tensor((X - self.mean) @ self.axes, dtype=torch.float32)


@one_thread()
def train(
    network: torch.nn.Module,
    loss: Callable[[torch.Tensor], torch.Tensor],
    n_rows: int,
    *,
    score: Callable[[torch.Tensor], torch.Tensor] | None = None,
    learning_rate: float = 1e-3,
    weight_decay: float = 0.0,
    batch_size: int = 64,
    max_epochs: int = 300,
    patience: int = 30,
    validation_share: float = 0.15,
    cosine: bool = False,
    after_epoch: Callable[[], None] | None = None,
    random_state: int = 0,
) -> pd.DataFrame:
    """Train by Adam with early stopping, and keep the weights of the best epoch.

    Rows are dealt into batches of nearly equal size, so that none is left out and no batch is too small to standardise.

    Parameters
    ----------
    network : torch.nn.Module
        Changed in place; in evaluation mode afterwards.
    loss : callable
        ``loss(rows)``, the mean loss over the rows with these numbers (a tensor of int of shape (n_batch,)).
    n_rows : int
        Number of training rows.
    score : callable, optional
        What early stopping watches on the rows held back; ``loss`` by default.
    learning_rate, weight_decay, batch_size, max_epochs
        As usual.
    patience : int
        Stop after so many epochs without a better score.
    validation_share : float
        Share of the rows held back for early stopping. With 0, or fewer than 10 rows, all train for ``max_epochs``.
    cosine : bool
        Let the learning rate fall to 0 over ``max_epochs`` along half a cosine (Loshchilov & Hutter, ICLR 2017): for
        losses that are drawn at random, such as the evidence bound of a Bayesian network.
    after_epoch : callable, optional
        Called after each epoch, to look at the network on the way.
    random_state : int
        Seed of the rows held back and of the order of batches. Call within :func:`seeded` for dropout and noise.

    Returns
    -------
    DataFrame
        One row an epoch: ``training`` (mean loss over the rows) and ``validation`` (NaN when nothing is held back).
        ``attrs["held"]`` lists the rows held back.

    Raises
    ------
    ValueError
        When the training loss is not finite.
    """
    rng = np.random.default_rng(random_state)
    order = torch.from_numpy(rng.permutation(n_rows))
    n_held = round(validation_share * n_rows) if n_rows >= MIN_FOR_VALIDATION else 0
    held, rows = order[:n_held], order[n_held:]
    score = loss if score is None else score
    n_batches = max(1, round(len(rows) / batch_size))
    optimiser = torch.optim.Adam(network.parameters(), lr=learning_rate, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max_epochs) if cosine else None
    history, best, best_state, since = [], np.inf, None, 0
    for _ in range(max_epochs):
        network.train()
        total = 0.0
        for batch in np.array_split(rng.permutation(len(rows)), n_batches):
            optimiser.zero_grad()
            value = loss(rows[batch])
            value.backward()
            optimiser.step()
            total += float(value.detach()) * len(batch)
        if schedule is not None:
            schedule.step()
        if after_epoch is not None:
            after_epoch()
        now = np.nan
        if n_held:
            network.eval()
            with torch.no_grad():
                now = float(score(held))
        history.append((total / len(rows), now))
        if n_held:
            if now < best:
                best, since = now, 0
                best_state = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
            else:
                since += 1
                if since >= patience:
                    break
    if best_state is not None:
        network.load_state_dict(best_state)
    network.eval()
    table = pd.DataFrame(history, columns=["training", "validation"], dtype=float)
    table.attrs["held"] = held.tolist()
    if not np.isfinite(table["training"]).all():
        raise ValueError("the training loss is not finite: lower the learning rate and look for extreme values in X")
    return table
