"""Rivals of conformer augmentation: other spellings of a molecule, and plain noise."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from rdkit import Chem

from course_lib.featurize.embedding import seed_of
from course_lib.featurize.fingerprints import texts
from course_lib.molecules import canonical, parse

_BATCH = 50
_MAX_EMPTY_BATCHES = 4


def enumerate_smiles(smiles: Iterable[str], n: int, random_state: int = 0) -> pd.DataFrame:
    """Write each molecule in up to `n` other ways.

    Parameters
    ----------
    smiles : iterable of str of length n_molecules
    n : int
        Different non-canonical SMILES wanted for each molecule.
    random_state : int

    Returns
    -------
    pandas.DataFrame
        Index (row, variant). Columns ``smiles`` and ``found``, how many of the `n` spellings the molecule gave: small
        molecules have few. One without any (methane) keeps a single line with its canonical SMILES and ``found`` 0, so
        that no molecule disappears. The spellings of a molecule do not depend on the others, and with a larger `n` the
        earlier ones stay the same.

    Raises
    ------
    MoleculeError
        When a SMILES cannot be read; names the row.
    ValueError
        When `n` is below 1.

    Notes
    -----
    Random walks over the atoms, by RDKit; the search stops after 200 in a row that bring nothing new. Bjerrum,
    arXiv:1703.07076.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, not {n}")
    lines = []
    for row, text in enumerate(texts(smiles)):
        plain = canonical(text, row)
        spellings = _spellings(plain, n, random_state)
        lines += [(row, variant, spelling, len(spellings)) for variant, spelling in enumerate(spellings or [plain])]
    frame = pd.DataFrame(lines, columns=["row", "variant", "smiles", "found"])
    return frame.set_index(["row", "variant"])


def _spellings(plain: str, n: int, random_state: int) -> list[str]:
    mol = parse(plain)
    found: dict[str, None] = {}
    batch = empty = 0
    while len(found) < n and empty < _MAX_EMPTY_BATCHES:
        seed = seed_of(f"{plain}|spelling|{random_state}|{batch}")
        before = len(found)
        found |= dict.fromkeys(s for s in Chem.MolToRandomSmilesVect(mol, _BATCH, randomSeed=seed) if s != plain)
        empty = 0 if len(found) > before else empty + 1
        batch += 1
    return list(found)[:n]


def jitter(X: ArrayLike | pd.DataFrame, n_copies: int, scale: float = 0.1, random_state: int = 0) -> pd.DataFrame:
    """Copy each row with Gaussian noise on every column.

    Parameters
    ----------
    X : array-like or pandas.DataFrame of shape (n_rows, n_features)
        Training rows only: the noise is measured on them.
    n_copies : int
        Noisy copies of each row; the row itself is not among them.
    scale : float
        Standard deviation of the noise as a share of the column's own, gaps left out.
    random_state : int

    Returns
    -------
    pandas.DataFrame of shape (n_rows * n_copies, n_features)
        Index (row, copy), ``row`` being the position in `X`. Gaps stay gaps. With a larger `n_copies` the earlier
        copies stay the same.

    Raises
    ------
    ValueError
        When `n_copies` is below 1 or `scale` is negative.
    """
    if n_copies < 1:
        raise ValueError(f"n_copies must be at least 1, not {n_copies}")
    if scale < 0:
        raise ValueError(f"scale must not be negative, got {scale}")
    frame = X if isinstance(X, pd.DataFrame) else pd.DataFrame(np.asarray(X))
    values = frame.to_numpy(dtype=float)
    spread = scale * frame.astype(float).std(ddof=0).fillna(0.0).to_numpy()
    copies = [
        values + spread * np.random.default_rng([random_state, copy]).standard_normal(values.shape)
        for copy in range(n_copies)
    ]
    table = np.stack(copies, axis=1).reshape(-1, values.shape[1])
    index = pd.MultiIndex.from_product([range(len(values)), range(n_copies)], names=["row", "copy"])
    return pd.DataFrame(table, columns=frame.columns, index=index)
