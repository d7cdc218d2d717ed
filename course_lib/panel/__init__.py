"""Era panels: rows that come in eras, a low signal, scores era by era, and whether a model's doubt announces bad eras.

Names are imported when they are first used: ``from course_lib.panel import simulate, era_scores``.
"""

from __future__ import annotations

from course_lib._lazy import attach

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
__getattr__, __dir__, __all__ = attach(__name__, _HOME)
