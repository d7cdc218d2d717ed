"""The Dataset that every loader returns, the errors, and the registry of sets."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

DATA = Path(__file__).resolve().parents[2] / "data"


class DatasetError(RuntimeError):
    """A data set cannot be had; the message says what to do."""


class UnknownDatasetError(DatasetError, ValueError):
    """There is no set, or no option, of that name."""


class DownloadError(DatasetError):
    """A published file is neither on the mirror nor in the cache, and its address does not answer."""


class ChecksumError(DatasetError):
    """A file is not the published one."""


class TruncatedFileError(ChecksumError):
    """A file ends early."""


class SourceChangedError(DatasetError):
    """The installed `chemicals` package has no longer a table or column that the course reads."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Molecules, a measured value for each, and where they come from.

    Attributes
    ----------
    name : str
        Name by which `load` knows the set.
    smiles : ndarray of object, shape (n,)
        Canonical SMILES, all parsed.
    y : ndarray of float, shape (n,)
        The measured values in `units`; for a classification set 0 or 1.
    units : str
        Unit of `y`.
    groups : ndarray of object, shape (n,)
        Identity of the molecule (see `course_lib.molecules.identity`): rows with one group must stay on one side of a
        split.
    names : ndarray of object, shape (n,)
        Names of the molecules, as the source has them.
    frame : pandas.DataFrame, n rows
        Everything the source says of these rows: every source's value in a column of its own, stated errors,
        temperatures, and what was repaired.
    card : str
        The data card in Markdown: what was measured and how, known errors, licence, citation.
    left_out : pandas.DataFrame
        The rows that were not taken, each with its `reason`.
    """

    name: str
    smiles: np.ndarray
    y: np.ndarray
    units: str
    groups: np.ndarray
    names: np.ndarray
    frame: pd.DataFrame
    card: str
    left_out: pd.DataFrame = field(default_factory=lambda: pd.DataFrame({"reason": pd.Series(dtype=object)}))

    def __post_init__(self) -> None:
        lengths = {key: len(getattr(self, key)) for key in ("smiles", "y", "groups", "names", "frame")}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"columns of {self.name!r} differ in length: {lengths}")

    def __len__(self) -> int:
        return len(self.y)

    def __repr__(self) -> str:
        molecules = len(set(self.groups))
        return f"<Dataset {self.name}: {len(self)} rows, {molecules} molecules, y in {self.units}>"

    def subset(self, indices: Sequence[int] | np.ndarray) -> Dataset:
        """Take the rows at `indices` (positions or a Boolean mask), in that order.

        Raises
        ------
        IndexError
            When a position lies outside the set, or a mask has the wrong length.
        """
        rows = np.arange(len(self))[np.asarray(indices, dtype=None if len(indices) else int)]
        return replace(
            self,
            smiles=self.smiles[rows],
            y=self.y[rows],
            groups=self.groups[rows],
            names=self.names[rows],
            frame=self.frame.iloc[rows].reset_index(drop=True),
        )


def make(name: str, frame: pd.DataFrame, left_out: pd.DataFrame | None = None) -> Dataset:
    """Make a Dataset from a frame that has the columns smiles, y, group and name."""
    frame = frame.reset_index(drop=True)
    left_out = pd.DataFrame({"reason": pd.Series(dtype=object)}) if left_out is None else left_out
    return Dataset(
        name=name,
        smiles=frame["smiles"].to_numpy(dtype=object),
        y=frame["y"].to_numpy(dtype=float),
        units=entry(name)["units"],
        groups=frame["group"].to_numpy(dtype=object),
        names=frame["name"].to_numpy(dtype=object),
        frame=frame.drop(columns="group"),
        card=card(name),
        left_out=left_out.reset_index(drop=True),
    )


def data_file(name: str) -> Path:
    """Path of a file of the course's data folder.

    Raises
    ------
    DatasetError
        When the folder is not there.
    """
    path = DATA / name
    if not path.is_file():
        raise DatasetError(
            f"{path} is not there. The course's data folder lies beside course_lib: work in a checkout of the course, "
            "installed with 'pip install -e .'."
        )
    return path


def fingerprint(*paths: Path) -> str:
    """Short hash of the files' contents: part of the key of what is derived from them."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:16]


@cache
def registry() -> dict[str, dict]:
    """Content of data/registry.toml."""
    with data_file("registry.toml").open("rb") as stream:
        return tomllib.load(stream)


def entry(name: str) -> dict:
    """One set's entry in the registry.

    Raises
    ------
    UnknownDatasetError
        With the nearest names.
    """
    sets = registry()
    if name not in sets:
        from difflib import get_close_matches

        near = get_close_matches(str(name).lower().replace("-", "_").replace(" ", "_"), sets, n=2, cutoff=0.6)
        hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else f"There are: {', '.join(sets)}."
        raise UnknownDatasetError(f"there is no data set {name!r}. {hint}")
    return sets[name]


def card(name: str) -> str:
    """Return the section of data/README.md that bears the set's name, or an empty text when it has none yet."""
    path = DATA / "README.md"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    for section in text.split("\n## ")[1:]:
        if section.split("\n", 1)[0].strip().strip("`") == name:
            return "## " + section.strip() + "\n"
    return ""
