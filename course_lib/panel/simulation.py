"""A panel whose truth is known: features, effects that turn now and then, targets of three kinds and two horizons."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from course_lib.arguments import whole
from course_lib.splits import assert_no_leak

__all__ = ["Panel", "simulate"]

KINDS = ("alpha", "beta", "gamma")
WITHIN = 0.5  # correlation of two features of one group
NONLINEAR = 0.3  # share of a signal's variance that is a product of two directions
NOISE_SHARED = 0.7  # correlation of the noise of two kinds
STRENGTH = (0.5, 1.5)  # range of the size of an era's effect


@dataclass(frozen=True)
class Panel:
    """Rows in eras.

    Attributes
    ----------
    X : ndarray of shape (n, n_features), float32
    features : tuple of str
        Names of the columns of X.
    targets : DataFrame of shape (n, n_targets)
    eras : ndarray of int, shape (n,)
        Era of each row; eras follow each other in time.
    truth : DataFrame or None
        Of a simulated panel, one row an era: ``effect`` of the signal on the 20-day targets, and ``burn``, whether it
        is below 0. None for real data.
    signal : ndarray of shape (n, 3) or None
        Of a simulated panel: what could be known about each kind of target, with variance 1.
    n_dropped : int
        Rows of a file that were left out because a target is missing.
    """

    X: np.ndarray
    features: tuple[str, ...]
    targets: pd.DataFrame
    eras: np.ndarray
    truth: pd.DataFrame | None = None
    signal: np.ndarray | None = None
    n_dropped: int = 0

    def __len__(self) -> int:
        return len(self.eras)

    def split(self, n_train: int) -> tuple[Panel, Panel]:
        """Return the first ``n_train`` eras and the later ones, each with all rows of its eras.

        Raises
        ------
        ValueError
            When one side would be empty.
        """
        names = np.unique(self.eras)
        if not 0 < n_train < len(names):
            raise ValueError(f"n_train is {n_train!r}: give 1 to {len(names) - 1}, as there are {len(names)} eras")
        first = self.eras <= names[n_train - 1]
        assert_no_leak(self.eras[first], self.eras[~first])
        return self._rows(first), self._rows(~first)

    def _rows(self, rows: np.ndarray) -> Panel:
        eras = self.eras[rows]
        return replace(
            self,
            X=self.X[rows],
            targets=self.targets[rows].reset_index(drop=True),
            eras=eras,
            truth=None if self.truth is None else self.truth.loc[np.unique(eras)],
            signal=None if self.signal is None else self.signal[rows],
        )


def simulate(
    n_eras: int = 64,
    n_rows: int = 250,
    n_features: int = 38,
    *,
    n_groups: int = 8,
    signal: float = 0.1,
    flip_rate: float = 0.2,
    shared: float = 0.7,
    burn_scale: float = 1.0,
    random_state: int = 0,
) -> Panel:
    r"""Draw an era panel from a generative model that is known.

    For row i of era t:

    - Features: feature j belongs to group g = j modulo ``n_groups``, and x_j = sqrt(0.5) z_g + sqrt(0.5) e_j with
      standard normal z and e: features of a group have correlation 0.5, others 0.
    - Functions: f_0 (common) and f_1, f_2, f_3 (one a kind of target), each sqrt(0.7) (b x) + sqrt(0.3) (u x)(v x)
      with normal vectors b, u, v and both terms standardised over the panel. The signal of kind k is
      s_k = sqrt(``shared``) f_0 + sqrt(1 - ``shared``) f_k, standardised.
    - Effects: in each of the three 20-day periods m that begin with era t the signal acts with a_m, of a size that is
      uniform between 0.5 and 1.5 and a sign that is negative with probability ``flip_rate``, independently. Era t is a
      burn era when a_1 < 0.
    - Returns of a period: r_mk = c a_m s_k + sqrt(1 - c^2) noise, with c = ``signal`` and standard normal noise
      that correlates by 0.7 between kinds.
    - Targets: r_1k over 20 days, (r_1k + r_2k + r_3k) / sqrt(3) over 60 days.
    - What is seen of the features is x, in burn eras ``burn_scale`` times x. With 1, nothing that a model is given
      says which eras burn.

    A prediction s_k has correlation near c a_1 with the 20-day target of its era, and over eras, in the long run,
    c (1 - 2 ``flip_rate``).

    Parameters
    ----------
    n_eras : int
        Number of eras.
    n_rows : int
        Rows of each era.
    n_features : int
        Number of features.
    n_groups : int
        Groups of correlated features.
    signal : float
        c, between 0 and 1.
    flip_rate : float
        Between 0 and 1.
    shared : float
        Share of a signal's variance that the three kinds have in common, between 0 and 1.
    burn_scale : float
        Above 0.
    random_state : int

    Returns
    -------
    Panel
        Targets "alpha_20", "alpha_60", "beta_20", and so on.

    Raises
    ------
    ValueError
        For a number out of its range.
    """
    for name, value, least in (
        ("n_eras", n_eras, 1),
        ("n_rows", n_rows, 2),
        ("n_groups", n_groups, 1),
        ("n_features", n_features, n_groups),
    ):
        whole(name, value, least)
    for name, share in (("signal", signal), ("flip_rate", flip_rate), ("shared", shared)):
        if not 0 <= share <= 1:
            raise ValueError(f"{name} is {share!r}: give a number between 0 and 1")
    if not burn_scale > 0:
        raise ValueError(f"burn_scale is {burn_scale!r}: give a factor above 0 (1: burn eras look like the others)")

    rng = np.random.default_rng(random_state)
    n, n_kinds, eras = n_eras * n_rows, len(KINDS), np.repeat(np.arange(n_eras), n_rows)
    common = rng.normal(size=(n, n_groups))[:, np.arange(n_features) % n_groups]
    x = np.sqrt(WITHIN) * common + np.sqrt(1 - WITHIN) * rng.normal(size=(n, n_features))

    functions = np.column_stack([_function(x, rng) for _ in range(1 + n_kinds)])
    s = _standard(np.sqrt(shared) * functions[:, :1] + np.sqrt(1 - shared) * functions[:, 1:])

    signs = np.where(rng.random((n_eras, 3)) < flip_rate, -1.0, 1.0)
    effects = signs * rng.uniform(*STRENGTH, size=(n_eras, 3))
    noise = np.sqrt(NOISE_SHARED) * rng.normal(size=(n, 3, 1))
    noise = noise + np.sqrt(1 - NOISE_SHARED) * rng.normal(size=(n, 3, n_kinds))
    returns = signal * effects[eras][:, :, None] * s[:, None, :] + np.sqrt(1 - signal**2) * noise
    horizons = {"20": returns[:, 0], "60": returns.sum(axis=1) / np.sqrt(3)}

    truth = pd.DataFrame({"effect": effects[:, 0], "burn": effects[:, 0] < 0}).rename_axis("era")
    seen = np.where(truth["burn"].to_numpy()[eras], burn_scale, 1.0)
    return Panel(
        X=(x * seen[:, None]).astype(np.float32),
        features=tuple(f"feature_{j:02d}" for j in range(n_features)),
        targets=pd.DataFrame({f"{k}_{days}": y[:, i] for i, k in enumerate(KINDS) for days, y in horizons.items()}),
        eras=eras,
        truth=truth,
        signal=s,
    )


def _standard(values: np.ndarray) -> np.ndarray:
    return (values - values.mean(axis=0)) / values.std(axis=0)


def _function(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a function, a linear part and a product of two directions, and give its values at the rows."""
    b, u, v = rng.normal(size=(3, x.shape[1]))
    return np.sqrt(1 - NONLINEAR) * _standard(x @ b) + np.sqrt(NONLINEAR) * _standard((x @ u) * (x @ v))
