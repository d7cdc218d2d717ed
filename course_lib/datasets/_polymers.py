"""The course's own table: glass transition temperatures of homopolymers (data/homopolymer_tg.csv)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from course_lib.molecules import canonical, h_capped, identity, oligomer

from ._base import Dataset, DatasetError, UnknownDatasetError, data_file, make

COLUMNS = ("name", "monomer_smiles", "repeat_unit", "tg_k", "tacticity", "source", "status")
FORMS: dict[str, Callable[[pd.Series, int], str]] = {
    "h_capped": lambda row, number: h_capped(row["repeat_unit"], number),
    "monomer": lambda row, number: canonical(row["monomer_smiles"], number),
    "trimer": lambda row, number: oligomer(row["repeat_unit"], 3, "C", number),
}


def homopolymer_tg(form: str = "h_capped", status: str | None = "verified", duplicates: bool = False) -> Dataset:
    """Load glass transition temperatures of homopolymers.

    Parameters
    ----------
    form : {"h_capped", "monomer", "trimer"}
        What stands for the polymer in ``smiles``: the repeat unit closed with hydrogens, the monomer, or three units
        closed with methyl groups.
    status : {"verified", "recalled", None}
        Which rows: those whose source was read, those stated from memory, or all.
    duplicates : bool
        False: one row per repeat unit (cis and trans told apart, tacticities not) with the median of its values; the
        frame's columns ``n_rows``, ``y_min``, ``y_max`` and ``source`` say what was merged. True: every row, one per
        source and tacticity.

    Returns
    -------
    Dataset
        ``groups``: identity of the repeat unit; polymers that share the SMILES of `form` share a group too.

    Raises
    ------
    UnknownDatasetError
        When the set has no such `form` or `status`.
    course_lib.molecules.MoleculeError
        When a structure cannot be read.
    """
    if form not in FORMS:
        raise UnknownDatasetError(f"no form {form!r} of homopolymer_tg; there are: {', '.join(FORMS)}")
    if status not in ("verified", "recalled", None):
        raise UnknownDatasetError(f"no status {status!r} of homopolymer_tg; there are: verified, recalled, None")
    table = pd.read_csv(data_file("homopolymer_tg.csv"), dtype={"tacticity": str, "note": str})
    missing = [column for column in COLUMNS if column not in table.columns]
    if missing:
        raise DatasetError(f"data/homopolymer_tg.csv has no column {missing[0]!r}")
    table = table.fillna({"tacticity": "", "note": "", "source": ""})
    table.insert(0, "file_row", np.arange(len(table)))
    chosen = table["status"] == status if status else pd.Series(True, index=table.index)
    left_out = table[~chosen].assign(reason=lambda rows: "status " + rows["status"])
    frame = table[chosen].reset_index(drop=True)

    frame["smiles"] = [FORMS[form](row, row["file_row"]) for _, row in frame.iterrows()]
    units = list(zip(frame["repeat_unit"], frame["file_row"], strict=True))
    frame["polymer"] = [identity(text, row, stereo=True) for text, row in units]
    frame["connectivity"] = [identity(text, row) for text, row in units]
    frame["y"] = frame["tg_k"].astype(float)
    if not duplicates:
        frame = _one_row_per_polymer(frame)
    frame["group"] = _linked(frame["connectivity"], frame["smiles"].map(identity))
    return make("homopolymer_tg", frame.drop(columns=["polymer", "connectivity"]), left_out)


def _one_row_per_polymer(frame: pd.DataFrame) -> pd.DataFrame:
    def join(values: pd.Series) -> str:
        return "; ".join(dict.fromkeys(value for value in values if value))

    grouped = frame.groupby("polymer", sort=False)
    merged = grouped.first()
    merged["y"] = merged["tg_k"] = grouped["y"].median()
    merged["y_min"], merged["y_max"] = grouped["y"].min(), grouped["y"].max()
    merged["n_rows"] = grouped.size()
    for column in ("tacticity", "source", "status", "note"):
        if column in frame:
            merged[column] = grouped[column].agg(join)
    return merged.reset_index()


def _linked(first: pd.Series, second: pd.Series) -> list[str]:
    """Give rows that share a key in `first` or in `second` one label, also by way of other rows."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    rows = np.arange(len(first))
    a, b = pd.factorize(first)[0], pd.factorize(second)[0]
    n, n_a, n_b = len(first), a.max(initial=-1) + 1, b.max(initial=-1) + 1
    start, end = np.concatenate([rows, rows]), np.concatenate([n + a, n + n_a + b])
    size = n + n_a + n_b
    labels = connected_components(coo_matrix((np.ones(2 * n), (start, end)), (size, size)), directed=False)[1][:n]
    return first.groupby(labels).transform("min").tolist()
