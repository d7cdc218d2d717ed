"""How good, and how sure: metrics, intervals, and the comparison of several models on identical splits."""

from __future__ import annotations

from importlib import import_module

_HOME = {
    "Interval": "intervals",
    "compare": "comparison",
    "mae": "metrics",
    "nadeau_bengio": "intervals",
    "paired": "comparison",
    "r2": "metrics",
    "rmse": "metrics",
    "summary": "comparison",
    "t_interval": "intervals",
}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
