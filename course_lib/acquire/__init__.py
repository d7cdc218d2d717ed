"""Which experiment next: acquisition functions, campaigns on a pool of molecules, suggestions for one's own table.

Names are imported when they are first used: ``from course_lib.acquire import campaign, expected_improvement``.
"""

from __future__ import annotations

from course_lib._lazy import attach

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
__getattr__, __dir__, __all__ = attach(__name__, _HOME)
