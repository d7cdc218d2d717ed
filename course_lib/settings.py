"""Where the course keeps its cache, and the few switches that the environment sets.

============================ ==========================================================================
``COURSE_CACHE``             folder of the cache (default: the user's cache folder, by pooch)
``COURSE_MODE``              ``fast`` (default: what a learner runs) or ``full`` (what writes ``results/``)
``COURSE_PROGRESS``          ``0`` switches progress bars off
``COURSE_DATA_MIRROR``       folder or URL tried before a published file's own address (see ``course_lib.datasets``)
============================ ==========================================================================
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import cache, wraps
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Literal, ParamSpec, TypeVar

if TYPE_CHECKING:
    import joblib

T = TypeVar("T")
P = ParamSpec("P")


class CacheError(OSError):
    """The cache folder cannot be made or written to."""


def cache_dir() -> Path:
    """Folder of the cache, made when it is not there.

    Returns
    -------
    pathlib.Path
        ``$COURSE_CACHE`` when that is set, else the user's cache folder for ``course_lib``.

    Raises
    ------
    CacheError
        When the folder cannot be made or nothing can be written to it.
    """
    chosen = os.environ.get("COURSE_CACHE", "").strip()
    if chosen:
        folder = Path(chosen).expanduser().absolute()
    else:
        import pooch

        folder = Path(pooch.os_cache("course_lib"))
    if not folder.is_dir() or folder not in _WRITABLE:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise CacheError(
                f"cannot write to the cache folder {folder} ({error.strerror or error}). "
                "Set the environment variable COURSE_CACHE to a folder that you may write to."
            ) from error
        _WRITABLE.add(folder)
    return folder


_WRITABLE: set[Path] = set()


@cache
def code_path() -> str:
    """Vector instructions that NumPy uses here, beyond those that every processor has, for instance ``"X86_V3"``.

    Sums are added up in another order with other instructions, and their last digits differ. A tree may then cut
    elsewhere, so a number computed in one way must not be read back in the other.
    """
    import numpy as np

    return "-".join(np.show_config(mode="dicts").get("SIMD Extensions", {}).get("found", [])) or "baseline"


def memory(*packages: str) -> joblib.Memory:
    """Disk cache of function results under ``cache_dir()/joblib``.

    joblib keys an entry by the function's name, source and arguments. The versions of course_lib and of the named
    packages, and the processor's `code_path`, are part of the folder's name, so a new release never reads an old one's
    numbers. Entries are compressed, which carries a checksum: one that is truncated or damaged fails to load and joblib
    computes it again.

    Parameters
    ----------
    *packages : str
        Names of the installed distributions whose version changes the result, for instance ``"rdkit"``.

    Returns
    -------
    joblib.Memory

    Raises
    ------
    CacheError
        See `cache_dir`.
    """
    parts = [*(f"{name}-{_version(name)}" for name in ("course_lib", *packages)), code_path()]
    return _memory(cache_dir() / "joblib" / "_".join(parts))


@cache
def _memory(folder: Path) -> joblib.Memory:
    import joblib

    # joblib reports a damaged entry with a whole traceback; one line says as much
    logging.getLogger("joblib").addFilter(_one_line)
    return joblib.Memory(folder, verbose=0, compress=1)


def _one_line(record: logging.LogRecord) -> bool:
    text = record.getMessage()
    if "Exception while loading results" in text:
        record.msg, record.args = text.splitlines()[0] + ": the cache entry is damaged and is computed again", ()
    return True


def cached(function: Callable[P, T], *packages: str) -> Callable[P, T]:
    """Wrap `function` so that its results are kept on disk (see `memory`).

    A damaged entry, also a damaged record of the function's source, is computed again.

    Parameters
    ----------
    function : callable
        A function of a module (not a lambda) whose arguments can be hashed by joblib.
    *packages : str
        Distributions whose version is part of the key.

    Returns
    -------
    callable
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        memorized = memory(*packages).cache(function)
        try:
            return memorized(*args, **kwargs)
        except UnicodeDecodeError:  # joblib does not guard its copy of the function's source
            memorized.clear(warn=False)
            return memorized(*args, **kwargs)

    return call


@cache
def _version(distribution: str) -> str:
    if distribution == "course_lib":
        from course_lib import __version__

        return __version__
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "none"


def mode() -> Literal["fast", "full"]:
    """``"fast"`` (the default) or ``"full"``, from ``COURSE_MODE``.

    Raises
    ------
    ValueError
        When ``COURSE_MODE`` holds anything else.
    """
    value = os.environ.get("COURSE_MODE", "").strip().lower() or "fast"
    if value not in ("fast", "full"):
        raise ValueError(f"COURSE_MODE is {value!r}; it must be 'fast' or 'full'")
    return value  # type: ignore[return-value]


def progress(iterable: Iterable[T], desc: str, total: int | None = None) -> Iterator[T] | Iterable[T]:
    """Show a progress bar while `iterable` is used up: a widget in a notebook, else text on stderr.

    No bar when ``COURSE_PROGRESS`` is 0.

    Parameters
    ----------
    iterable : iterable
    desc : str
        Short text before the bar.
    total : int, optional
        Number of items when the iterable has no length.

    Returns
    -------
    iterable
        Gives the same items in the same order.
    """
    if os.environ.get("COURSE_PROGRESS", "").strip() == "0":
        return iterable
    from tqdm.auto import tqdm

    return tqdm(iterable, desc=desc, total=total, leave=False)  # a bar that stays looks like an error in a notebook
