"""Conformer augmentation: every conformer becomes a row that carries its molecule's label."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from course_lib import settings
from course_lib.featurize import _store, spatial
from course_lib.featurize.embedding import PROTOCOLS, check_protocols, closed, conformers
from course_lib.featurize.fingerprints import texts as as_texts
from course_lib.parallel import each

_STATISTICS = {"min": 0.0, "q25": 0.25, "median": 0.5, "q75": 0.75, "max": 1.0}
_FAILURE_COLUMNS = ["row", "smiles", "protocol", "asked", "got", "reason"]


def augment(
    smiles: Iterable[str],
    n_conformers: int = 12,
    protocols: Sequence[str] = PROTOCOLS,
    random_state: int = 0,
    descriptors: str = "mordred",
    n_jobs: int | None = None,
    return_failures: bool = False,
) -> pd.DataFrame | tuple[pd.DataFrame, pd.DataFrame]:
    """Turn each molecule into many rows of 3D descriptors, one for each conformer.

    Parameters
    ----------
    smiles : iterable of str of length n_molecules
        Molecules without open ends ``*``.
    n_conformers : int
        Conformers of a molecule in total. They are spread over the protocols as evenly as possible, earlier protocols
        first: 12 over six protocols are 2 of each.
    protocols : sequence of str
        Some of `PROTOCOLS`.
    random_state : int
    descriptors : {"mordred", "rdkit"}
        See `descriptors3d`.
    n_jobs : int, optional
        Processes; the numbers are the same for any. None: as ``joblib.parallel_config`` says, else 1.
    return_failures : bool
        Also return what is missing.

    Returns
    -------
    rows : pandas.DataFrame of shape (n_rows, n_descriptors)
        MultiIndex (row, protocol, conformer); ``row`` is the molecule's position in `smiles`. A molecule's rows depend
        on nothing but the molecule, the protocol and `random_state`, and with a larger `n_conformers` the earlier
        conformers of each protocol stay the same.
    failures : pandas.DataFrame
        Only with `return_failures`: one line for each molecule and protocol that gave fewer conformers than asked for,
        with columns row, smiles, protocol, asked, got, reason. ``rows.attrs["failures"]`` holds their number.

    Raises
    ------
    MoleculeError
        When a SMILES cannot be read or has an open end: names the row, before anything is computed.
    ValueError
        When an option is unknown.

    Notes
    -----
    The rows of one molecule share its label, so they belong on one side of every split: use `Dataset.groups` and the
    splitters of `course_lib.splits`. Results are cached for each molecule and protocol, so an interrupted run goes on
    where it stopped. Idea: lecture A, and Hemmerich et al., J. Cheminf. 2020, 12:18 (COVER).
    """
    protocols = tuple(protocols)
    check_protocols(protocols)
    spatial.check_kind(descriptors)
    if n_conformers < 1:
        raise ValueError(f"n_conformers must be at least 1, not {n_conformers}")
    texts = [closed(text, row) for row, text in enumerate(as_texts(smiles))]
    share, extra = divmod(n_conformers, len(protocols))
    wanted = {protocol: share + (position < extra) for position, protocol in enumerate(protocols)}
    wanted = {protocol: n for protocol, n in wanted.items() if n}

    results = _all_results(list(dict.fromkeys(texts)), wanted, random_state, descriptors, n_jobs)
    parts, labels, failures = [], [], []
    for row, text in enumerate(texts):
        for protocol, asked in wanted.items():
            values, reason = results[text, protocol]
            values = values[:asked]
            parts.append(values)
            labels.append(pd.DataFrame({"row": row, "protocol": protocol, "conformer": np.arange(len(values))}))
            if len(values) < asked:
                failures.append((row, text, protocol, asked, len(values), reason))
    names = list(spatial.columns(descriptors))
    table = np.concatenate(parts) if parts else np.empty((0, len(names)))
    index = pd.MultiIndex.from_frame(pd.concat(labels)) if labels else _empty_index()
    rows = pd.DataFrame(table, columns=names, index=index)
    rows.attrs["failures"] = len(failures)
    if return_failures:
        return rows, pd.DataFrame(failures, columns=_FAILURE_COLUMNS)
    return rows


def _empty_index() -> pd.MultiIndex:
    return pd.MultiIndex.from_arrays([[], [], []], names=["row", "protocol", "conformer"])


def _all_results(
    texts: list[str], wanted: dict[str, int], random_state: int, kind: str, n_jobs: int | None
) -> dict[tuple[str, str], tuple[np.ndarray, str]]:
    """Descriptors and reason for each molecule and protocol, from the cache or computed."""
    folder = settings.cache_dir() / "conformers"
    results, jobs = {}, []
    for text in texts:
        open_protocols = {}
        for protocol, n in wanted.items():
            stored = _load(folder, text, protocol, n, random_state, kind)
            if stored is None:
                open_protocols[protocol] = n
            else:
                results[text, protocol] = stored
        if open_protocols:
            jobs.append((text, open_protocols))
    if jobs:
        made = each(_molecule, [(folder, text, todo, random_state, kind) for text, todo in jobs], n_jobs)
        for (text, _), molecule in zip(jobs, settings.progress(made, "conformers", len(jobs)), strict=True):
            results |= {(text, protocol): result for protocol, result in molecule.items()}
    return results


def _molecule(
    folder: Path, text: str, wanted: dict[str, int], random_state: int, kind: str
) -> dict[str, tuple[np.ndarray, str]]:
    """Compute and store one molecule by each protocol."""
    results = {}
    for protocol, n in wanted.items():
        structures = conformers(text, n, protocol, random_state)
        values = spatial.compute(structures.mol, kind)
        key = _key(text, protocol, random_state, kind)
        _store.write(folder, key, values=values, reason=np.array(structures.reason))
        results[protocol] = (values, structures.reason)
    return results


def _key(text: str, protocol: str, random_state: int, kind: str) -> str:
    return _store.key("augment", smiles=text, protocol=protocol, random_state=int(random_state), descriptors=kind)


def _load(
    folder: Path, text: str, protocol: str, n: int, random_state: int, kind: str
) -> tuple[np.ndarray, str] | None:
    """Look up a stored result with at least `n` conformers, or with all that the molecule gives; else None."""
    stored = _store.read(folder, _key(text, protocol, random_state, kind))
    if stored is None or not {"values", "reason"} <= stored.keys():
        return None
    values, reason = stored["values"], str(stored["reason"])
    if values.ndim != 2 or values.shape[1] != len(spatial.columns(kind)):
        return None
    return (values, reason) if len(values) >= n or reason else None


def molecule_weights(rows: pd.DataFrame | pd.MultiIndex | Sequence) -> np.ndarray:
    """Weights that let each molecule count once, however many rows it has.

    Parameters
    ----------
    rows : pandas.DataFrame, pandas.MultiIndex or sequence of length n_rows
        Augmented rows (index level ``row``), or one label for each row, for instance the groups of the rows.

    Returns
    -------
    ndarray of shape (n_rows,)
        Mean 1; the weights of each molecule have the same sum.
    """
    index = rows.index if isinstance(rows, pd.DataFrame) else rows
    labels = index.get_level_values("row") if isinstance(index, pd.MultiIndex) else np.asarray(index)
    if len(labels) == 0:
        return np.empty(0)
    _, position, count = np.unique(labels, return_inverse=True, return_counts=True)
    return len(labels) / (len(count) * count[position])


def join2d(rows: pd.DataFrame, table2d: pd.DataFrame) -> pd.DataFrame:
    """Set each molecule's 2D descriptors beside its rows.

    Parameters
    ----------
    rows : pandas.DataFrame of shape (n_rows, n_3d)
        Augmented rows.
    table2d : pandas.DataFrame of shape (n_molecules, n_2d)
        One line a molecule; line i belongs to ``row`` i.

    Returns
    -------
    pandas.DataFrame of shape (n_rows, n_3d + n_2d)
        Same index as `rows`.

    Raises
    ------
    ValueError
        When `table2d` is too short or shares a column name with `rows`.
    """
    position = rows.index.get_level_values("row").to_numpy(dtype=int)
    if len(position) and position.max() >= len(table2d):
        raise ValueError(f"rows hold molecule {position.max()}, but the 2D table has only {len(table2d)} lines")
    shared = rows.columns.intersection(table2d.columns)
    if len(shared):
        raise ValueError(f"both tables have a column {shared[0]!r} ({len(shared)} in common): rename one")
    return pd.concat([rows, table2d.iloc[position].set_axis(rows.index)], axis=1)


def summarize(rows: pd.DataFrame) -> pd.DataFrame:
    """Describe each molecule by the distribution of its conformers, one line a molecule.

    Parameters
    ----------
    rows : pandas.DataFrame of shape (n_rows, n_descriptors)
        Augmented rows.

    Returns
    -------
    pandas.DataFrame of shape (n_molecules, n_descriptors * 5 * n_protocols)
        Minimum, quartiles and maximum of each descriptor over the conformers of a protocol; columns such as
        ``DPSA1_dg_mmff94_q25``, index ``row``. With Mordred's set and six protocols these are the 6 390 columns of the
        lecture. NaN where a protocol gave no conformer; a molecule without any row has no line.
    """
    levels = [rows.index.get_level_values(name) for name in ("row", "protocol")]
    present = [protocol for protocol in PROTOCOLS if protocol in set(levels[1])]
    molecules = pd.Index(np.unique(levels[0]), name="row")
    parts = []
    for protocol in present:
        grouped = rows[levels[1] == protocol].groupby(level="row")
        for name, share in _STATISTICS.items():
            part = grouped.quantile(share).reindex(molecules)
            parts.append(part.set_axis([f"{column}_{protocol}_{name}" for column in rows.columns], axis=1))
    return pd.concat(parts, axis=1) if parts else pd.DataFrame(index=molecules)
