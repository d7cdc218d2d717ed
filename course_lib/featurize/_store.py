"""One small file per computed molecule: written at once, read back only when whole and about the right thing."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np

from course_lib import settings

_FORMAT = 1  # raise when the numbers for the same inputs change


def key(kind: str, **inputs: object) -> str:
    """Text that names a result: its inputs, the versions of the packages that compute it, and how they calculate."""
    made_by = {**_versions(), "code_path": settings.code_path()}
    return json.dumps({"kind": kind, "format": _FORMAT, **made_by, **inputs}, sort_keys=True)


@cache
def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("rdkit", "mordredcommunity")}


def _path(folder: Path, key: str) -> Path:
    name = hashlib.sha256(key.encode()).hexdigest()
    return folder / name[:2] / f"{name[2:34]}.npz"


def read(folder: Path, key: str) -> dict[str, np.ndarray] | None:
    """Arrays stored under `key`, or None when there are none, or the file is damaged or about something else."""
    try:
        with np.load(_path(folder, key), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return arrays if str(arrays.pop("key", "")) == key else None


def write(folder: Path, key: str, **arrays: np.ndarray) -> None:
    """Store `arrays` under `key`; another process sees the old file or the whole new one, never a part."""
    path = _path(folder, key)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, key=np.array(key), **arrays)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
