"""Which other data sets help? Similarities, joint training, MolGroup's gate, its rivals, and a recommendation.

Names are imported when they are first used: ``from course_lib.auxiliary import MolGroup, recommend``.
"""

from __future__ import annotations

from course_lib._lazy import attach

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
__getattr__, __dir__, __all__ = attach(__name__, _HOME)
