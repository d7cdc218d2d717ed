"""The loop of a laboratory: a table of what has been measured, a list of what could be, and what to measure next."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from rdkit.Chem.Draw import rdMolDraw2D
from sklearn.base import clone, is_classifier

from course_lib.acquire.picking import beliefs, check_direction, pick
from course_lib.arguments import whole
from course_lib.datasets import Dataset
from course_lib.datasets._files import read
from course_lib.featurize import mordred2d, morgan
from course_lib.featurize.fingerprints import tanimoto
from course_lib.molecules import MoleculeError, canonical, identity, parse

__all__ = ["draw", "suggest"]

COLUMNS = (
    "candidate", "smiles", "mean", "std", "acquisition", "nearest", "nearest_value", "similarity", "drawing",
)  # fmt: skip


def draw(smiles: str, width: int = 240, height: int = 180) -> str:
    """Structural formula of one molecule as SVG text; sizes in pixels."""
    canvas = rdMolDraw2D.MolDraw2DSVG(width, height)
    canvas.drawOptions().useBWAtomPalette()
    rdMolDraw2D.PrepareAndDrawMolecule(canvas, parse(smiles))
    canvas.FinishDrawing()
    return canvas.GetDrawingText()


def _read(path: Path) -> list[str]:
    """SMILES of a file: the first word of each line of .smi and .txt, else the column "smiles" of a table."""
    if not path.is_file():
        raise ValueError(
            f"there is no file {str(path)!r} with candidates: check the name and the folder. "
            "A text is the name of a file; give a single molecule as a list"
        )
    if path.suffix.lower() in (".smi", ".txt"):
        text = path.read_text(encoding="utf-8-sig", errors="replace")  # names behind the SMILES may be in any encoding
        words = [line.split()[0] if line.strip() else "" for line in text.splitlines()]
        return words[1:] if words and words[0].lower() == "smiles" else words
    header, *rows = read(path).rows
    names = [str(name).strip() for name in header]
    place = next((at for at, name in enumerate(names) if name.lower() == "smiles"), None)
    if place is None:
        raise ValueError(
            f"{path.name} has no column 'smiles', but {', '.join(names)}: rename the one that holds the structures"
        )
    return [str(row[place] or "") if place < len(row) else "" for row in rows]


def _measured(measured: Dataset | tuple) -> tuple[list[str], np.ndarray]:
    """Canonical SMILES and values of what has been measured."""
    if hasattr(measured, "columns"):
        raise ValueError(
            f"measured is a table with the columns {', '.join(map(str, measured.columns))}: give two of them, such as "
            '(table["smiles"], table["value"])'
        )
    smiles, y = (measured.smiles, measured.y) if isinstance(measured, Dataset) else measured
    smiles, y = list(smiles), np.asarray(y, dtype=float)
    if y.shape != (len(smiles),) or len(smiles) < 2:
        raise ValueError(
            f"measured has {len(smiles)} SMILES and values of shape {y.shape}: give one value a molecule, for at least "
            "2 molecules"
        )
    bad = np.flatnonzero(~np.isfinite(y))
    if len(bad):
        raise ValueError(
            f"row {bad[0]} of measured, {smiles[bad[0]]!r}, has the value {y[bad[0]]} ({len(bad)} such rows): leave "
            "out what has not been measured, it may stand among the candidates"
        )
    return [canonical(text, row) for row, text in enumerate(smiles)], y


def _sort_out(texts: Iterable[Any], known: set[str]) -> tuple[list[tuple[int, str]], list[dict]]:
    """Candidates to score, as (row, canonical SMILES), and those left out with their reasons."""
    kept, left_out, seen = [], [], {}
    for row, text in enumerate(texts):
        try:
            key = identity(text, row, stereo=True)
        except MoleculeError as error:
            left_out.append({"candidate": row, "smiles": str(text), "reason": f"unreadable: {error.reason}"})
            continue
        if key in known:
            left_out.append({"candidate": row, "smiles": text, "reason": "already measured"})
        elif key in seen:
            left_out.append({"candidate": row, "smiles": text, "reason": f"same molecule as candidate {seen[key]}"})
        else:
            seen[key] = row
            kept.append((row, canonical(text, row)))
    return kept, left_out


def suggest(
    model: Any,
    measured: Dataset | tuple[Iterable[str], ArrayLike],
    candidates: Dataset | Iterable[str] | str | Path,
    k: int = 5,
    *,
    features: Callable[[list[str]], ArrayLike] | None = mordred2d,
    acquisition: str | Callable | None = None,
    maximise: bool = True,
    random_state: int = 0,
) -> pd.DataFrame:
    """Say which molecules to measure next.

    Parameters
    ----------
    model : estimator
        Unfitted; a clone is fitted on all that has been measured.
    measured : Dataset, or (smiles, values)
        For a classifier the values are 0 and 1.
    candidates : Dataset, list of SMILES, or path
        A .smi or .txt file with one SMILES a line, or a table with a column "smiles", in any form that
        :func:`course_lib.datasets.read_table` reads.
    k : int
        How many, as one batch (kriging believer, see :func:`course_lib.acquire.pick`).
    features : function, optional
        List of SMILES -> table of shape (n, p); None for a model that takes SMILES.
    acquisition : str or function, optional
        Default "log_expected_improvement", for a classifier "greedy". Measurements are noisy, so the value to beat is
        the best of the model's means of the measured molecules.
    maximise : bool
        False when small values are wanted (class 0 for a classifier).
    random_state : int
        For "thompson" and "random".

    Returns
    -------
    DataFrame of k rows, fewer when there are not as many candidates, in the order of picking
        candidate (row), smiles (canonical), mean and std of a new measurement (for a classifier the probability of the
        wanted class, and NaN), acquisition, nearest (the most similar measured molecule by Morgan fingerprints),
        nearest_value, similarity (its Tanimoto similarity), drawing (SVG text). ``attrs["left_out"]`` lists every
        candidate that was not scored, with its reason: unreadable, already measured, repeated.

    Raises
    ------
    MoleculeError
        For a measured molecule that cannot be read.
    ValueError
        For values that are not finite, no candidate left, or k below 1.
    """
    smiles, y = _measured(measured)
    if isinstance(candidates, (str, Path)):
        candidates = _read(Path(candidates))
    if hasattr(candidates, "columns"):
        raise ValueError(
            f"candidates is a table with the columns {', '.join(map(str, candidates.columns))}: give the one of "
            'the structures, such as table["smiles"]'
        )
    texts = list(candidates.smiles if isinstance(candidates, Dataset) else candidates)
    kept, left_out = _sort_out(texts, {identity(text, stereo=True) for text in smiles})
    if not kept:
        raise ValueError(f"none of the {len(texts)} candidates is left: {_count(left_out)}")
    k = whole("k", k)
    check_direction(maximise)
    if model is None:
        raise ValueError("model is None: give an estimator; without a model there is course_lib.acquire.pick")
    classes = is_classifier(model)
    if classes and set(np.unique(y)) != {0.0, 1.0}:
        raise ValueError(
            f"a classifier needs values 0 and 1, both of them, got {np.unique(y)[:5].tolist()}: recode them"
        )
    wanted = y if maximise else (1 - y if classes else -y)
    everything = [*smiles, *(text for _, text in kept)]
    X = np.asarray(everything if features is None else features(everything))
    if len(X) != len(everything):
        raise ValueError(f"features gave {len(X)} rows for {len(everything)} molecules: it must give one a molecule")
    rows = np.arange(len(smiles))
    fitted = clone(model).fit(X[rows], wanted)
    if acquisition is None:
        acquisition = "greedy" if classes else "log_expected_improvement"
    table = pick(
        fitted,
        X,
        rows,
        wanted,
        np.arange(len(smiles), len(X)),
        min(k, len(kept)),
        acquisition,
        best=float(beliefs(fitted, X[rows]).mean.max()),
        random_state=random_state,
    )
    chosen = table["molecule"].to_numpy()
    found = beliefs(fitted, X[chosen])  # as known now, not as believed while the batch was picked
    texts = [everything[row] for row in chosen]
    nearest, similarity = _nearest(texts, smiles)
    picked = [kept[row - len(smiles)][0] for row in chosen]
    mean = found.mean if maximise or classes else -found.mean
    columns = (
        picked, texts, mean, found.total, table["acquisition"].to_numpy(),
        [smiles[row] for row in nearest], y[nearest], similarity, [draw(text) for text in texts],
    )  # fmt: skip
    result = pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))
    result.attrs["left_out"] = left_out
    return result


def _count(left_out: list[dict]) -> str:
    reasons = pd.Series([entry["reason"].split(":")[0].split(" as ")[0] for entry in left_out], dtype=object)
    return ", ".join(f"{count} {reason}" for reason, count in reasons.value_counts().items()) or "the list is empty"


def _nearest(texts: list[str], measured: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Most similar measured molecule of each text, and its Tanimoto similarity."""
    a, b = (morgan(part).to_numpy(dtype=float) for part in (texts, measured))
    similarity = tanimoto(a, b)
    nearest = similarity.argmax(axis=1)
    return nearest, similarity[np.arange(len(texts)), nearest]
