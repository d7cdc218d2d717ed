"""Helper package of the course "Small data, honest models".

Submodules are imported on first access (PEP 562), so ``import course_lib`` stays fast and loads neither RDKit nor torch.
"""

import importlib

__version__ = "0.1.0"

_SUBMODULES = ("datasets", "evaluate", "featurize", "models", "molecules", "plots", "settings", "splits", "teaching")
__all__ = ["__version__"]


def __getattr__(name: str) -> object:
    """Import a submodule when it is first asked for."""
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List what can be asked for, loaded or not."""
    return sorted([*globals(), *_SUBMODULES])
