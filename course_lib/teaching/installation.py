"""A look at the installation that says what to do when something is missing."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

NEEDED = (
    "numpy", "pandas", "scipy", "scikit-learn", "matplotlib", "rdkit", "mordredcommunity", "lightgbm",
    "bayesian-optimization", "chemicals", "pooch", "ipywidgets",
)  # fmt: skip
LATER = ("torch", "gpytorch", "pyro-ppl", "ngboost", "mapie")
REPAIR = "run `make setup` (or `pip install -r requirements.txt`, `pip install --no-deps -e .`) and restart the kernel"


def check_installation() -> None:
    """Print which packages are there, whether they are the tested versions, and whether the parts work.

    Every line ends in ``as tested``, ``differs``, ``ok`` or in what to do. No path is printed, so the output is
    the same on every machine with the tested set.
    """
    tested = tested_versions()
    missing = 0
    for name in (*NEEDED, *LATER):
        state = package_state(name, tested.get(name))
        missing += state.startswith("missing")
        note = " (from lesson 04 on)" if name in LATER else ""
        print(f"{name:24}{state}{note}")
    trouble = missing
    for label, test in PARTS.items():
        problem = _attempt(test)
        trouble += problem is not None
        print(f"{label:24}{problem or 'ok'}")
    if trouble:
        print(f"{trouble} thing(s) to put right. When a package is missing: {REPAIR}.")
    else:
        print("Everything is there. If versions differ, lessons run, but figures may differ in the last digit.")


def tested_versions() -> dict[str, str]:
    """Read the pinned versions from ``requirements.txt`` beside the package; empty when it is not there."""
    path = Path(__file__).parents[2] / "requirements.txt"
    if not path.is_file():
        return {}
    pins = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;#]+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {normalised(name): version for name, version in pins}


def package_state(name: str, tested: str | None) -> str:
    """Say whether a package is missing, is the tested version, or differs from it."""
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing"
    if tested is None:
        return f"{found}, there (no tested version known here)"
    if found.split("+")[0] == tested.split("+")[0]:
        return f"{tested}, as tested"
    return f"{found}, differs (tested with {tested})"


def normalised(name: str) -> str:
    """Package name in the normal form of PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _attempt(test: Callable[[], str | None]) -> str | None:
    try:
        return test()
    except Exception as error:  # whatever is broken is to be reported, not raised
        return f"does not work ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}); {REPAIR}"


def _chemistry() -> str | None:
    from rdkit import Chem

    return None if Chem.MolFromSmiles("CCO").GetNumAtoms() == 3 else f"RDKit misreads ethanol; {REPAIR}"


def _lightgbm() -> str | None:
    try:
        import lightgbm  # noqa: F401
    except OSError:
        return "its OpenMP library does not load: on macOS `brew install libomp`, on Debian `apt install libgomp1`"
    return None


def _picture() -> str | None:
    import matplotlib

    return None if matplotlib.get_backend() else f"no drawing backend; {REPAIR}"


def _cache() -> str | None:
    from course_lib.settings import cache_dir

    try:
        cache_dir()
    except OSError:
        return "not writable: set the environment variable COURSE_CACHE to a folder that you may write to"
    return None


def _data() -> str | None:
    if (Path(__file__).parents[2] / "data" / "homopolymer_tg.csv").is_file():
        return None
    return "the course's data folder is missing: open the notebooks inside a full copy of the course"


PARTS: dict[str, Callable[[], str | None]] = {
    "reading a molecule": _chemistry,
    "loading LightGBM": _lightgbm,
    "drawing a figure": _picture,
    "cache folder": _cache,
    "embedded data": _data,
}
