"""What a lesson needs besides its science: exercise checks, quizzes, claims, widgets, the glossary.

Nothing here computes a result of the course; it shows, compares and explains.
"""

from __future__ import annotations

from course_lib.teaching.checks import check, show_prediction
from course_lib.teaching.claims import (
    Claim,
    ClaimError,
    Decision,
    claim,
    decide,
    decide_family,
    holm,
    ledger,
    load_claims,
)
from course_lib.teaching.installation import check_installation
from course_lib.teaching.quizzes import quiz
from course_lib.teaching.tables import print_table
from course_lib.teaching.terms import glossary
from course_lib.teaching.widgets import interactive

__all__ = [
    "Claim",
    "ClaimError",
    "Decision",
    "check",
    "check_installation",
    "claim",
    "decide",
    "decide_family",
    "fast",
    "glossary",
    "holm",
    "interactive",
    "ledger",
    "load_claims",
    "print_table",
    "quiz",
    "show_prediction",
]


def fast() -> bool:
    """Whether the course runs in FAST mode, the default; ``COURSE_MODE=full`` switches to FULL."""
    from course_lib.settings import mode

    return mode() == "fast"
