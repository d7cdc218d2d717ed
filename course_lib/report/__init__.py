"""From a table of molecules and values to a page that a colleague can read: ``report(path)``, ``predict(model, path)``.

On the command line: ``python -m course_lib report FILE --target COLUMN``.
"""

from __future__ import annotations

from importlib import import_module

_HOME = {
    "CVPlus": "intervals",
    "Report": "run",
    "Study": "findings",
    "choose_split": "splitting",
    "predict": "saving",
    "report": "run",
    "study": "findings",
}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
