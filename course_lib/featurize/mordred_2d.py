"""Mordred's two-dimensional descriptors."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from rdkit import rdBase

from course_lib import settings
from course_lib.featurize import _store
from course_lib.featurize.fingerprints import texts as as_texts
from course_lib.molecules import canonical, parse
from course_lib.parallel import each

if TYPE_CHECKING:
    from mordred import Calculator


def mordred2d(smiles: Iterable[str], n_jobs: int | None = None) -> pd.DataFrame:
    """Compute Mordred's 2D descriptors, all of them.

    Choosing columns, filling gaps and scaling belong inside the folds of a cross-validation: see `Descriptors`.

    Parameters
    ----------
    smiles : iterable of str of length n_molecules
    n_jobs : int, optional
        Processes; the numbers are the same for any. None: as ``joblib.parallel_config`` says, else 1.

    Returns
    -------
    pandas.DataFrame of float, shape (n_molecules, 1613)
        NaN where a descriptor is undefined, for instance most ring descriptors of a salt of two fragments.

    Raises
    ------
    MoleculeError
        When a SMILES cannot be read: names the row.

    Notes
    -----
    Computed from the canonical SMILES and cached for each molecule. Mordred gives the detour matrix of a highly bridged
    molecule up after 60 seconds; those columns are then NaN and the molecule is not cached, for the clock decided.
    Moriwaki et al., J. Cheminf. 2018, 10:4.
    """
    texts = [canonical(text, row) for row, text in enumerate(as_texts(smiles))]
    folder = settings.cache_dir() / "mordred2d"
    names = _columns()
    results, missing = {}, []
    for text in dict.fromkeys(texts):
        stored = _store.read(folder, _store.key("mordred2d", smiles=text))
        values = None if stored is None else stored.get("values")
        if values is None or values.shape != (len(names),):
            missing.append(text)
        else:
            results[text] = values
    if missing:
        made = each(_molecule, [(folder, text) for text in missing], n_jobs)
        results |= zip(missing, settings.progress(made, "Mordred 2D", len(missing)), strict=True)
    table = np.array([results[text] for text in texts]).reshape(len(texts), len(names))
    return pd.DataFrame(table, columns=list(names))


@cache
def _calculator() -> Calculator:
    from mordred import Calculator, descriptors

    return Calculator(descriptors, ignore_3D=True)


@cache
def _columns() -> tuple[str, ...]:
    return tuple(str(descriptor) for descriptor in _calculator().descriptors)


def _molecule(folder: Path, text: str) -> np.ndarray:
    """Compute and store one molecule; shape (1613,)."""
    from mordred.error import Timeout

    with warnings.catch_warnings(), np.errstate(all="ignore"), rdBase.BlockLogs():
        warnings.simplefilter("ignore")
        result = list(_calculator()(parse(text)))
    reasons = [getattr(value, "error", None) for value in result]
    values = np.array([np.nan if reason else float(v) for v, reason in zip(result, reasons, strict=True)])
    values[~np.isfinite(values)] = np.nan
    if not any(isinstance(reason, Timeout) for reason in reasons):
        _store.write(folder, _store.key("mordred2d", smiles=text), values=values)
    return values
