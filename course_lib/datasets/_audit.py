"""Look at a table of SMILES and values before trusting it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from course_lib.molecules import MoleculeError, identity, parse

# What each finding is about, in the order of the report.
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
        One line per finding: row (position in the table), kind (a key of `KINDS`), detail.
    """

    n_rows: int
    n_labelled: int
    n_parsed: int
    n_distinct: int
    n_connectivities: int
    n_repeated: int
    findings: pd.DataFrame

    def rows(self, kind: str) -> np.ndarray:
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
    def counts(self) -> pd.Series:
        """Number of rows by kind of finding; kinds without a finding are not listed."""
        counts = self.findings.drop_duplicates(["row", "kind"])["kind"].value_counts()
        return counts.reindex([kind for kind in KINDS if kind in counts])

    def __str__(self) -> str:
        lines = [
            f"{self.n_rows} rows, {self.n_labelled} with a value, {self.n_parsed} of them parsed",
            f"{self.n_distinct} distinct molecules ({self.n_connectivities} ignoring stereochemistry and tautomers), "
            f"{self.n_repeated} in more than one row",
        ]
        for kind, count in self.counts.items():
            first = self.findings[self.findings["kind"] == kind].head(3)
            lines.append(f"{count:6d}  {KINDS[kind]}")
            lines += [f"        row {row}: {detail}" for row, detail in zip(first["row"], first["detail"], strict=True)]
            if count > 3:
                lines.append("        ...")
        if self.findings.empty:
            lines.append("nothing found")
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
    smiles, y : str
        Columns of the structures and the values.
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
    found: list[tuple[int, str, str]] = []
    canonical: dict[int, str] = {}
    flat: dict[int, str] = {}
    for row, (text, label) in enumerate(zip(frame[smiles], value, strict=True)):
        if np.isnan(label):
            raw = frame[y].iloc[row]
            found.append((row, "no label", "empty" if pd.isna(raw) else f"{raw!r} is not a number"))
        if not isinstance(text, str) or not text.strip():
            found.append((row, "no structure", "empty"))
            continue
        findings, mol = _structure(text)
        found += [(row, kind, detail) for kind, detail in findings]
        if mol is not None and not np.isnan(label):
            canonical[row] = mol
            flat[row] = identity(mol)

    molecules = pd.Series(canonical, dtype=object)
    connectivities = pd.Series(flat, dtype=object)
    found += _duplicates(molecules, connectivities, value, tolerance)
    found += _values(value, outlier_limit, plausible or ((0.0, np.inf) if units == "K" else None))
    order = list(KINDS)
    findings = pd.DataFrame(
        sorted(found, key=lambda item: (order.index(item[1]), item[0])), columns=["row", "kind", "detail"]
    )
    sizes = molecules.value_counts()
    result = Audit(
        n_rows=len(frame),
        n_labelled=int(np.isfinite(value).sum()),
        n_parsed=len(molecules),
        n_distinct=len(sizes),
        n_connectivities=connectivities.nunique(),
        n_repeated=int((sizes > 1).sum()),
        findings=findings,
    )
    if verbose:
        print(result)
    return result


def _structure(text: str) -> tuple[list[tuple[str, str]], str | None]:
    """List the findings about one SMILES; with its canonical form when it is a molecule."""
    from rdkit import Chem

    try:
        mol = parse(text)
    except MoleculeError as error:
        kind = "space in SMILES" if error.reason == "a space inside" else "not a molecule"
        return [(kind, f"{text!r}" if kind == "space in SMILES" else f"{text!r} ({error.reason})")], None
    smiles = Chem.MolToSmiles(mol)
    findings = []
    charges = [Chem.GetFormalCharge(part) for part in Chem.GetMolFrags(mol, asMols=True, sanitizeFrags=False)]
    if min(charges) < 0 < max(charges):
        findings.append(("salt", smiles))
    elif len(charges) > 1:
        findings.append(("mixture", smiles))
    if sum(charges):
        findings.append(("ion", f"{smiles} (net charge {sum(charges):+d})"))
    if any(atom.GetAtomicNum() == 0 for atom in mol.GetAtoms()):
        findings.append(("open ends", smiles))
    return findings, smiles


def _duplicates(
    molecules: pd.Series, connectivities: pd.Series, value: np.ndarray, tolerance: float
) -> Iterable[tuple[int, str, str]]:
    for smiles, rows in _repeated(molecules):
        labels = value[rows]
        others = ", ".join(map(str, rows))
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
