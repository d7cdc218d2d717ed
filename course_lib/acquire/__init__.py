"""Which experiment next: acquisition functions, campaigns on a pool of molecules, suggestions for one's own table.

Names are imported when they are first used: ``from course_lib.acquire import campaign, expected_improvement``.
"""

from __future__ import annotations

from importlib import import_module

_HOME = {
    "ACQUISITIONS": "functions",
    "Campaign": "campaigning",
    "campaign": "campaigning",
    "campaigns": "campaigning",
    "draw": "suggestion",
    "expected_improvement": "functions",
    "function_samples": "picking",
    "greedy": "functions",
    "log_expected_improvement": "functions",
    "nearest_neighbour": "functions",
    "pick": "picking",
    "probability_of_improvement": "functions",
    "random": "functions",
    "suggest": "suggestion",
    "thompson": "functions",
    "upper_confidence_bound": "functions",
    "variance": "functions",
}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
