"""Published files: mirror first, then the cache, then the author's own address; always checked by SHA-256."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from course_lib import settings

from ._base import ChecksumError, DownloadError, TruncatedFileError, entry


def fetch(name: str, file: str = "table") -> Path:
    """Path of a published file, fetched when it is not there yet.

    Parameters
    ----------
    name : str
        Name of the set.
    file : str
        Which of its files: ``"table"`` or ``"split"``.

    Returns
    -------
    pathlib.Path
        A file with the registry's SHA-256.

    Raises
    ------
    ChecksumError, TruncatedFileError
        When a file is not the published one.
    DownloadError
        When there is neither mirror nor network.
    course_lib.settings.CacheError
        When the cache cannot be written.
    """
    known = entry(name)["files"][file]
    mirror = os.environ.get("COURSE_DATA_MIRROR", "").strip()
    tried = []
    if mirror and "://" not in mirror:
        path = Path(mirror).expanduser() / known["mirror"]
        if path.is_file():
            _check(path, known, where=str(path), remedy="Replace it, or unset COURSE_DATA_MIRROR.")
            return path
        tried.append(f"{path}: not there")

    folder = settings.cache_dir() / "datasets"
    target = folder / known["mirror"]
    if target.is_file() and _problem(target, known) is None:
        return target

    addresses = [f"{mirror.rstrip('/')}/{known['mirror']}"] if "://" in mirror else []
    for address in [*addresses, known["url"]]:
        try:
            _download(address, target, known)
        except DownloadError as error:
            tried.append(str(error))
        else:
            return target
    raise DownloadError(
        f"cannot get {known['mirror']!r} of data set {name!r}:\n  "
        + "\n  ".join(tried)
        + "\nConnect to the network once (the file is then cached), or set COURSE_DATA_MIRROR to a folder that holds "
        f"{known['mirror']}. The embedded sets need neither: see course_lib.datasets.available()."
    )


def _download(address: str, target: Path, known: dict) -> None:
    import pooch
    import requests

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=target.parent, prefix=".part-")
        os.close(handle)
    except OSError as error:
        raise settings.CacheError(
            f"cannot write to the cache folder {target.parent} ({error.strerror or error}). "
            "Set the environment variable COURSE_CACHE to a folder that you may write to."
        ) from error
    try:
        try:
            pooch.HTTPDownloader(timeout=20)(address, part, None)
        except (requests.RequestException, OSError) as error:
            raise DownloadError(f"{address}: {_why(error)}") from error
        _check(Path(part), known, where=address, remedy="Try again; if it stays so, the file there has been changed.")
        os.replace(part, target)
    finally:
        Path(part).unlink(missing_ok=True)


def _why(error: BaseException) -> str:
    """Say in a few words why an address did not answer; requests' own texts run to several lines."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"the server answered {response.status_code}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"no connection ({type(error).__name__})"


def _check(path: Path, known: dict, where: str, remedy: str) -> None:
    problem = _problem(path, known)
    if problem is not None:
        kind, text = problem
        raise kind(f"{where} {text} {remedy}")


def _problem(path: Path, known: dict) -> tuple[type[ChecksumError], str] | None:
    import pooch

    size = path.stat().st_size
    if size < known["size"]:
        return TruncatedFileError, f"ends early: {size} bytes instead of {known['size']}."
    found = pooch.file_hash(str(path), alg="sha256")
    if found != known["sha256"]:
        return ChecksumError, f"is not the published file: SHA-256 {found[:12]}... instead of {known['sha256'][:12]}..."
    return None
