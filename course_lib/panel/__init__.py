"""Era panels: rows that come in eras, a low signal, scores era by era, and whether a model's doubt announces bad eras.

Names are imported when they are first used: ``from course_lib.panel import simulate, era_scores``.
"""

from __future__ import annotations

from importlib import import_module

_HOME = {
    "ChainedTargets": "networks",
    "EraNetwork": "networks",
    "Panel": "simulation",
    "PosteriorScores": "scores",
    "SharedTargets": "networks",
    "TargetHeads": "networks",
    "burn_detection": "scores",
    "era_scores": "scores",
    "jensen_shannon": "divergence",
    "load_numerai": "numerai",
    "map_weights": "networks",
    "published": "scores",
    "score_posterior": "scores",
    "sharpe": "scores",
    "simulate": "simulation",
    "symmetric_kl": "divergence",
}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
