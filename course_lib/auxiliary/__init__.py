"""Which other data sets help? Similarities, joint training, MolGroup's gate, its rivals, and a recommendation.

Names are imported when they are first used: ``from course_lib.auxiliary import MolGroup, recommend``.
"""

from __future__ import annotations

from importlib import import_module

_HOME = {
    "Improvement": "improvement",
    "JointNetwork": "joint",
    "MolGroup": "molgroup",
    "RIVALS": "rivals",
    "Selection": "rivals",
    "Task": "tasks",
    "fisher_diagonal": "similarity",
    "principal_gradient_distance": "gradients",
    "read_tasks": "tasks",
    "recommend": "recommendation",
    "relative_improvement": "improvement",
    "ridge_transfer": "transfer",
    "select": "rivals",
    "structure_similarity": "similarity",
    "target_errors": "improvement",
    "task_similarity": "similarity",
}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
