"""Look at a table of SMILES and values before trusting it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from course_lib.molecules import findings_of

KINDS = {
    "no label": "rows without a value",
    "no structure": "rows without a SMILES",
    "space in SMILES": "SMILES with a space inside (RDKit would read what follows as a name)",
    "not a molecule": "SMILES that cannot be parsed",
    "duplicate": "rows whose molecule stands in another row too",
    "conflicting labels": "rows of one molecule whose values differ",
    "stereo-only duplicate": "rows that differ from another row in stereochemistry, isotopes or tautomer only",
    "salt": "structures with ions of both signs in separate parts",
    "mixture": "structures of several neutral parts",
    "ion": "structures with a net charge",
    "open ends": "structures with open ends '*'",
    "outlier": "values far outside the rest",
    "implausible value": "values that cannot be, by their unit",
}
"""Kinds of findings, in the order of the report: name -> which rows it is about."""
FATES = ("used", "merged", "left out")
LOST = ("no label", "no structure", "space in SMILES", "not a molecule")  # kinds that keep a row from being used


@dataclass(frozen=True)
class Audit:
    """What `audit` found.

    Attributes
    ----------
    n_rows : int
        Rows of the table.
    n_labelled : int
        Rows with a value.
    n_parsed : int
        Rows with a value whose SMILES is a molecule.
    n_distinct : int
        Different molecules among those, by canonical SMILES.
    n_connectivities : int
        Different molecules when stereochemistry and tautomers are ignored.
    n_repeated : int
        Molecules that stand in more than one row, by canonical SMILES.
    findings : pandas.DataFrame
        One line per finding: row (position in the table; for a file its row there), kind (a key of `KINDS`), detail.
    rows : pandas.DataFrame
        One line per row of the table: row, fate ("used": the first row of its molecule; "merged": a further one; "left
        out"), reason, smiles (canonical, empty when there is none), y (NaN when there is none); of a file
        also cells (the row's text). `audit` says what would become of a row, `read_table` what became of it.
    notes : tuple of str
        What was guessed or put right while a file was read.
    """

    n_rows: int
    n_labelled: int
    n_parsed: int
    n_distinct: int
    n_connectivities: int
    n_repeated: int
    findings: pd.DataFrame
    rows: pd.DataFrame
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """Rows of the table by fate; used, merged and left_out add up to rows."""
        fates = self.rows["fate"].value_counts()
        return {"rows": len(self.rows)} | {name.replace(" ", "_"): int(fates.get(name, 0)) for name in FATES}

    def having(self, kind: str) -> np.ndarray:
        """Positions of the rows with a finding of this kind.

        Raises
        ------
        KeyError
            When there is no such kind.
        """
        if kind not in KINDS:
            raise KeyError(f"no kind {kind!r}; there are: {', '.join(KINDS)}")
        return self.findings.loc[self.findings["kind"] == kind, "row"].drop_duplicates().to_numpy(dtype=int)

    @property
    def by_kind(self) -> pd.Series:
        """Number of rows by kind of finding; kinds without a finding are not listed."""
        counts = self.findings.drop_duplicates(["row", "kind"])["kind"].value_counts()
        return counts.reindex([kind for kind in KINDS if kind in counts])

    def __str__(self) -> str:
        lines = [
            f"{self.n_rows} rows, {self.n_labelled} with a value, {self.n_parsed} of them parsed",
            f"{self.n_distinct} distinct molecules ({self.n_connectivities} ignoring stereochemistry and tautomers), "
            f"{self.n_repeated} in more than one row",
        ]
        for kind, count in self.by_kind.items():
            first = self.findings[self.findings["kind"] == kind].head(3)
            lines.append(f"{count:6d}  {KINDS[kind]}")
            lines += [f"        row {row}: {detail}" for row, detail in zip(first["row"], first["detail"], strict=True)]
            if count > 3:
                lines.append("        ...")
        if self.findings.empty:
            lines.append("nothing found")
        lines += [f"read: {note}" for note in self.notes]
        return "\n".join(lines)


def audit(
    frame: pd.DataFrame,
    smiles: str = "smiles",
    y: str = "y",
    *,
    tolerance: float = 0.0,
    outlier_limit: float = 5.0,
    plausible: tuple[float, float] | None = None,
    units: str | None = None,
    verbose: bool = True,
) -> Audit:
    """Look for what spoils a table of molecules and values; prints a report and returns it. Nothing is changed.

    Parameters
    ----------
    frame : pandas.DataFrame
        The table, as it was read.
    smiles : str
        Column of the structures.
    y : str
        Column of the values.
    tolerance : float
        Values of one molecule that differ by more than this conflict (unit of `y`).
    outlier_limit : float
        A value is an outlier when it lies more than this many robust standard deviations (1.4826 times the median
        absolute deviation) from the median. An outlier is a question, not an error.
    plausible : (float, float), optional
        Smallest and largest value that can be.
    units : str, optional
        Unit of `y`. With ``"K"`` a value at or below 0 is implausible, and `plausible` need not be given.
    verbose : bool
        Print the report.

    Returns
    -------
    Audit

    Raises
    ------
    KeyError
        When a column is missing.
    """
    for column in (smiles, y):
        if column not in frame.columns:
            raise KeyError(f"the table has no column {column!r}; it has: {', '.join(map(str, frame.columns))}")
    value = pd.to_numeric(frame[y], errors="coerce").to_numpy(dtype=float)
    missing = {
        int(row): "empty" if pd.isna(frame[y].iloc[row]) else f"{frame[y].iloc[row]!r} is not a number"
        for row in np.flatnonzero(np.isnan(value))
    }
    texts = frame[smiles].tolist()
    structures = {text: findings_of(text) for text in dict.fromkeys(texts) if isinstance(text, str) and text.strip()}
    limits = {"tolerance": tolerance, "outlier_limit": outlier_limit}
    limits["plausible"] = plausible or ((0.0, np.inf) if units == "K" else None)
    result = examine(texts, value, missing, structures, range(len(frame)), **limits)
    if verbose:
        print(result)
    return result


def examine(
    texts: Sequence[object],
    value: np.ndarray,
    missing: Mapping[int, str],
    structures: Mapping[str, tuple],
    numbers: Sequence[int],
    *,
    tolerance: float = 0.0,
    outlier_limit: float = 5.0,
    plausible: tuple[float, float] | None = None,
) -> Audit:
    """Audit columns that are read already.

    Parameters
    ----------
    texts : sequence of length n_rows
        SMILES, or whatever stands in their place.
    value : ndarray of float, shape (n_rows,)
    missing : mapping of int to str
        Positions of the rows whose value cannot be used, and why.
    structures : mapping of str to tuple
        What `course_lib.molecules.findings_of` says of each text.
    numbers : sequence of int, length n_rows
        What the rows are called.
    tolerance, outlier_limit, plausible
        As in `audit`.
    """
    found: list[tuple[int, str, str]] = []
    canonical: dict[int, str] = {}
    flat: dict[int, str] = {}
    for row, text in enumerate(texts):
        if row in missing:
            found.append((row, "no label", missing[row]))
        if not isinstance(text, str) or not text.strip():
            found.append((row, "no structure", "empty"))
            continue
        findings, smiles, key = structures[text]
        found += [(row, kind, detail) for kind, detail in findings]
        if smiles is not None and row not in missing:
            canonical[row] = smiles
            flat[row] = key

    molecules = pd.Series(canonical, dtype=object)
    connectivities = pd.Series(flat, dtype=object)
    found += _duplicates(molecules, connectivities, value, tolerance, numbers)
    found += _values(value, outlier_limit, plausible)
    order = list(KINDS)
    found.sort(key=lambda item: (order.index(item[1]), item[0]))
    findings = pd.DataFrame(found, columns=["row", "kind", "detail"])
    sizes = molecules.value_counts()
    return Audit(
        n_rows=len(texts),
        n_labelled=len(texts) - len(missing) - int(np.isinf(value).sum()),
        n_parsed=len(molecules),
        n_distinct=len(sizes),
        n_connectivities=connectivities.nunique(),
        n_repeated=int((sizes > 1).sum()),
        findings=findings.assign(row=[numbers[row] for row in findings["row"]]),
        rows=_fates(found, molecules, value, numbers),
    )


def _fates(found: list[tuple], molecules: pd.Series, value: np.ndarray, numbers: Sequence[int]) -> pd.DataFrame:
    """Say what becomes of each row: one row a molecule is used, by the median of all rows of that molecule."""
    lost: dict[int, list[str]] = {}
    for row, kind, detail in found:
        if kind in LOST:
            lost.setdefault(row, []).append(f"{kind}: {detail}")
    fates = pd.DataFrame({"row": list(numbers), "fate": "left out", "reason": "", "smiles": "", "y": value})
    fates["reason"] = [", ".join(lost.get(row, [])) for row in range(len(numbers))]
    fates.loc[molecules.index, "smiles"] = molecules
    fates.loc[molecules.index, "fate"] = np.where(molecules.duplicated(), "merged", "used")
    for _, rows in _repeated(molecules):
        names = [numbers[row] for row in rows]
        values = ", ".join(f"{value[row]:g}" for row in rows)
        text = f"one molecule in rows {', '.join(map(str, names))}: the median of {values} is taken"
        fates.loc[rows, "reason"] = text
    return fates


def _duplicates(
    molecules: pd.Series, connectivities: pd.Series, value: np.ndarray, tolerance: float, numbers: Sequence[int]
) -> Iterable[tuple[int, str, str]]:
    for smiles, rows in _repeated(molecules):
        labels = value[rows]
        others = ", ".join(str(numbers[row]) for row in rows)
        yield from ((row, "duplicate", f"{smiles} in rows {others}") for row in rows)
        if np.ptp(labels) > tolerance:
            text = f"{smiles} in rows {others}: {', '.join(f'{label:g}' for label in labels)}"
            yield from ((row, "conflicting labels", text) for row in rows)
    for _, rows in _repeated(connectivities):
        forms = molecules[rows].drop_duplicates()
        if len(forms) > 1:
            text = "; ".join(f"{form} ({value[row]:g})" for row, form in forms.items())
            yield from ((row, "stereo-only duplicate", text) for row in rows)


def _repeated(keys: pd.Series) -> Iterable[tuple[str, list[int]]]:
    """Yield each key that stands in several rows, with these rows."""
    several = keys[keys.duplicated(keep=False)]
    for key, rows in several.groupby(several, sort=False).groups.items():
        yield key, list(rows)


def _values(value: np.ndarray, limit: float, plausible: tuple[float, float] | None) -> Iterable[tuple[int, str, str]]:
    known = value[np.isfinite(value)]
    if len(known) == 0:
        return
    median = np.median(known)
    spread = 1.4826 * np.median(np.abs(known - median))
    for row in np.flatnonzero(np.isfinite(value)):
        distance = abs(value[row] - median)
        if spread > 0 and distance > limit * spread:
            yield int(row), "outlier", f"{value[row]:g}, {distance / spread:.1f} robust deviations from {median:g}"
    for row in np.flatnonzero(~np.isnan(value)):
        low, high = plausible or (-np.inf, np.inf)
        bad = value[row] <= low if plausible == (0.0, np.inf) else value[row] < low
        if np.isinf(value[row]) or bad or value[row] > high:
            yield int(row), "implausible value", f"{value[row]:g}"


def compare_sources(a: Mapping[str, float] | pd.Series, b: Mapping[str, float] | pd.Series) -> dict[str, float]:
    """Compare two sources of one quantity; aggregates only, so it may be shown for tables that may not be passed on.

    Parameters
    ----------
    a, b : mapping from molecule (a group of `Dataset.groups`) to value, or Series with that index
        Several values of one molecule: their median is taken.

    Returns
    -------
    dict
        ``n_a``, ``n_b`` (molecules), ``n_common``, ``identical`` (share of the common ones with equal values: above all
        a sign of one source copied from the other), ``mean_difference`` (a - b), ``median_absolute_difference``,
        ``q90_absolute_difference``, ``max_absolute_difference``, ``noise_sd`` (standard deviation of one source if both
        are equally good and independent, from the differences that are not zero; a lower bound).
    """
    left, right = (pd.Series(side, dtype=float).groupby(level=0).median() for side in (a, b))
    common = pd.concat([left, right], axis=1, join="inner").dropna()
    difference = common.iloc[:, 0] - common.iloc[:, 1]
    size = difference.abs()
    differing = difference[size > 1e-9]
    nothing = float("nan")
    return {
        "n_a": len(left),
        "n_b": len(right),
        "n_common": len(common),
        "identical": float((size <= 1e-9).mean()) if len(size) else nothing,
        "mean_difference": float(difference.mean()),
        "median_absolute_difference": float(size.median()),
        "q90_absolute_difference": float(size.quantile(0.9)) if len(size) else nothing,
        "max_absolute_difference": float(size.max()),
        "noise_sd": float(1.4826 * differing.abs().median() / np.sqrt(2)) if len(differing) else nothing,
    }
