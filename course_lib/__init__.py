"""Small data, honest models: the helper package of the course.

Submodules are imported on first use (PEP 562), so ``import course_lib`` is quick and loads neither RDKit, pandas nor
torch. They are listed in the order in which data flows; a module imports only from those above it.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

__version__ = "0.1.0"

_SUBMODULES = (
    "settings",
    "molecules",
    "datasets",
    "featurize",
    "splits",
    "models",
    "plots",
    "evaluate",
    "auxiliary",
    "plots_uncertainty",
    "acquire",
    "panel",
    "results",
    "report",
    "teaching",
)

__all__ = ["__version__", *_SUBMODULES]


def __getattr__(name: str) -> ModuleType:
    if name in _SUBMODULES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
