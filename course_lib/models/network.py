"""How every network of the course is trained: all rows in every epoch, early stopping on rows held back, one seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd
import torch

__all__ = ["seeded", "train"]

MIN_FOR_VALIDATION = 10  # fewer training rows cannot spare any


@contextmanager
def seeded(random_state) -> Iterator[None]:
    """Draw torch's random numbers from this seed inside the block, and leave the caller's own stream as it was."""
    seed = int(np.random.default_rng(random_state).integers(2**31))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


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
    random_state : int
        Seed of the rows held back and of the order of batches. Call within :func:`seeded` for dropout and noise.

    Returns
    -------
    DataFrame
        One row an epoch: ``training`` (mean loss over the batches) and ``validation`` (NaN when nothing is held back).
    """
    rng = np.random.default_rng(random_state)
    order = torch.from_numpy(rng.permutation(n_rows))
    n_held = round(validation_share * n_rows) if n_rows >= MIN_FOR_VALIDATION else 0
    held, rows = order[:n_held], order[n_held:]
    score = loss if score is None else score
    n_batches = max(1, round(len(rows) / batch_size))
    optimiser = torch.optim.Adam(network.parameters(), lr=learning_rate, weight_decay=weight_decay)
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
    table = pd.DataFrame(history, columns=["training", "validation"])
    if not np.isfinite(table["training"]).all():
        raise ValueError("the training loss is not finite: lower the learning rate and look for extreme values in X")
    return table
