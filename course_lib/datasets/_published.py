"""The fetched sets: the lecture's polymers and four sets of DIONYSUS with their published splits."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from course_lib import molecules, settings
from course_lib.molecules import MoleculeError, canonical, identity

from ._base import Dataset, DatasetError, fingerprint, make
from ._fetch import fetch

HERE, MOLECULES = Path(__file__), Path(molecules.__file__)

# set -> (column of the SMILES, column of the value, column of the name or None)
_COLUMNS = {
    "delaney": ("SMILES", "measured log(solubility:mol/L)", "Compound ID"),
    "freesolv": ("SMILES", "experimental value (kcalmol)", "iupac name (or alternative if IUPAC is unavailable or not "
                 "parseable by OEChem)"),
    "lipo": ("smiles", "exp", "CMPD_CHEMBLID"),
    "bace": ("smiles", "Class", "CID"),
}  # fmt: skip
# set -> column here -> further column of the table
_EXTRA = {"freesolv": {"stated_error": "experimental uncertainty (kcalmol)"}, "bace": {"pic50": "pIC50"}}


def tg_vinyl(duplicates: bool = True, repair: bool = True) -> Dataset:
    """Load the lecture's table: glass transition temperatures of polymers, drawn as their monomers.

    Parameters
    ----------
    duplicates : bool
        True: every labelled row as published. False: one row per molecule, with the median of its labels; the frame's
        columns ``n_rows``, ``y_min`` and ``y_max`` say what was merged, ``published_names`` holds all names.
    repair : bool
        True: the one SMILES with a space inside is read without it (352 rows). False: that row is left out, as in the
        paper (351 rows).

    Returns
    -------
    Dataset
        ``frame`` has the published SMILES, whether it was repaired, and the row in the file. ``left_out`` lists the
        rows without any entry.
    """
    raw = pd.read_csv(fetch("tg_vinyl"), header=None, encoding="latin-1", names=["y", "published_smiles", "name"])
    raw.insert(0, "file_row", np.arange(len(raw)))
    empty = raw[["y", "published_smiles", "name"]].isna().all(axis=1)
    left_out = raw.loc[empty, ["file_row"]].assign(reason="the row is empty in the published file")
    frame = raw[~empty].reset_index(drop=True)
    clean = frame["published_smiles"].map(lambda text: re.sub(r"\s+", "", text))
    frame["repaired"] = np.where(clean != frame["published_smiles"].str.strip(), "space inside the SMILES removed", "")
    if not repair:
        broken = frame["repaired"] != ""
        reason = frame.loc[broken, ["file_row", "name", "y"]].assign(reason="a space inside the SMILES")
        left_out = pd.concat([left_out, reason])
        frame, clean = frame[~broken].reset_index(drop=True), clean[~broken]
    frame["smiles"] = [canonical(text, row) for text, row in zip(clean, frame["file_row"], strict=True)]
    frame["group"] = [identity(text) for text in frame["smiles"]]
    if not duplicates:
        frame = _one_row_per_molecule(frame)
    return make("tg_vinyl", frame, left_out)


def _one_row_per_molecule(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.groupby("group", sort=False, as_index=False).agg(
        y=("y", "median"),
        y_min=("y", "min"),
        y_max=("y", "max"),
        n_rows=("y", "size"),
        smiles=("smiles", "first"),
        name=("name", "first"),
        published_names=("name", lambda names: "; ".join(dict.fromkeys(names))),
        file_row=("file_row", "first"),
        repaired=("repaired", "max"),
    )


def dionysus(name: str, split: bool = True) -> Dataset:
    """Load a set as DIONYSUS published it, with its train, validation and test rows.

    Parameters
    ----------
    name : {"delaney", "freesolv", "lipo", "bace"}
        The set.
    split : bool
        True: only the molecules of the published split, ``frame["split"]`` says train, val or test (``lipo`` has none).
        False: every row of the published table that is a molecule.

    Returns
    -------
    Dataset
        ``left_out`` lists the rows that DIONYSUS removed (salts, single atoms, duplicates) or that cannot be parsed.
    """
    smiles_column, value_column, name_column = _COLUMNS[name]
    raw = pd.read_csv(fetch(name)).rename(columns=str.strip)
    frame = pd.DataFrame(
        {
            "file_row": np.arange(len(raw)),
            "name": raw[name_column].astype(str).str.strip(),
            "published_smiles": raw[smiles_column],
            "y": raw[value_column].astype(float),
            **{name_here: raw[column] for name_here, column in _EXTRA.get(name, {}).items()},
        }
    )
    structures = settings.cached(_structures, "rdkit")(tuple(frame["published_smiles"]), fingerprint(MOLECULES, HERE))
    frame["smiles"], frame["group"] = structures["smiles"], structures["group"]
    reasons = {row: reason for row, reason in structures["reason"].items() if reason}
    if split and name != "lipo":
        frame["split"] = _split(name, frame["smiles"], reasons)
    left_out = frame.loc[list(reasons), ["file_row", "name", "y"]].assign(reason=list(reasons.values()))
    frame = frame.drop(index=list(reasons)).reset_index(drop=True)
    return make(name, frame, left_out)


def _structures(published: tuple[str, ...], key: str) -> pd.DataFrame:
    """Canonical SMILES and group of each, or the reason why it is none; `key` is part of the cache key only."""
    rows = []
    for row, text in enumerate(published):
        try:
            smiles = canonical(text, row)
        except MoleculeError as error:
            rows.append((None, None, f"not a molecule: {error.reason}"))
        else:
            rows.append((smiles, identity(smiles), ""))
    return pd.DataFrame(rows, columns=["smiles", "group", "reason"])


def _split(name: str, smiles: pd.Series, reasons: dict[int, str]) -> list[str | None]:
    """Find every molecule of the published split in the table; the first row wins, the others are left out."""
    with np.load(fetch(name, "split"), allow_pickle=False) as published:
        where = {canonical(text): part for part in ("train", "val", "test") for text in published[part].ravel()}
    found: dict[str, int] = {}
    parts: list[str | None] = []
    for row, text in enumerate(smiles):
        part = where.get(text)
        parts.append(part)
        if row in reasons:
            continue
        if part is None:
            reasons[row] = "not in DIONYSUS's split (salt, single atom or duplicate)"
        elif text in found:
            reasons[row] = "same molecule as an earlier row (DIONYSUS keeps one)"
        else:
            found[text] = row
    missing = [text for text in where if text not in found]
    if missing:
        raise DatasetError(f"{len(missing)} molecules of {name}'s split are not in its table, first {missing[0]}")
    return parts
