"""The register of exercises and the small words their checkers speak.

One file a lesson (``lesson_01.py``) holds the checkers of that lesson. A checker is a function that takes the learner's
answer (and whatever else the notebook hands to ``check`` by keyword) and returns ``right("why")`` or
``wrong("the likely mistake")``. Each is registered together with a right answer and at least three typical wrong ones,
so that a test can prove that every diagnosis is reached:

>>> @exercise("99.1", solution=lambda: Case(4), wrong_answers=lambda: [Case(2, says="square")])  # doctest: +SKIP
... def _(answer):
...     return right("2 squared is 4.") if answer == 4 else wrong("Did you forget to square?")
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any


class NotAttempted(Exception):
    """The answer is still the stub."""


@dataclass(frozen=True)
class Verdict:
    """Outcome of a check: whether the answer is right, and what to tell the learner."""

    passed: bool
    text: str


def right(text: str) -> Verdict:
    """Pass the answer; `text` says why it is right."""
    return Verdict(True, text)


def wrong(text: str) -> Verdict:
    """Fail the answer; `text` names the likely mistake, not the solution."""
    return Verdict(False, text)


class Case:
    """An answer together with the keywords that the notebook hands to ``check``.

    Parameters
    ----------
    answer : object
    says : str
        Words that the diagnosis of this answer must contain (used by the tests).
    **context
        The keywords of ``check(id, answer, **context)``.
    """

    def __init__(self, answer: Any, says: str = "", **context: Any) -> None:
        self.answer = answer
        self.says = says
        self.context = context


@dataclass(frozen=True)
class Exercise:
    """A registered exercise: its checker, a right answer, and typical wrong ones."""

    id: str
    checker: Callable[..., Verdict]
    solution: Callable[[], Case]
    wrong_answers: Callable[[], Sequence[Case]] = field(default=list)


_REGISTER: dict[str, Exercise] = {}


def exercise(
    id: str, *, solution: Callable[[], Case], wrong_answers: Callable[[], Sequence[Case]]
) -> Callable[[Callable[..., Verdict]], Callable[..., Verdict]]:
    """Register the checker of an exercise.

    Parameters
    ----------
    id : str
        Lesson and number: ``"1.2"`` is the second exercise of lesson 01.
    solution : callable
        Returns a `Case` that the checker must pass.
    wrong_answers : callable
        Returns at least three `Case` objects with ``says`` set. Both are called by tests only, so that heavy imports
        wait.

    Raises
    ------
    ValueError
        When the id is malformed or taken.
    """
    if not re.fullmatch(r"\d+\.\d+", id):
        raise ValueError(f"exercise id {id!r} must be lesson.number, as in '1.2'")
    if id in _REGISTER:
        raise ValueError(f"exercise {id} is registered twice")

    def register(checker: Callable[..., Verdict]) -> Callable[..., Verdict]:
        _REGISTER[id] = Exercise(id, checker, solution, wrong_answers)
        return checker

    return register


def find(id: str) -> Exercise:
    """Return the registered exercise `id`, importing its lesson's file.

    Raises
    ------
    KeyError
        When there is no such exercise; the message lists those of the lesson.
    """
    lesson, _, _ = str(id).partition(".")
    if lesson.isdigit():
        name = f"{__name__}.lesson_{int(lesson):02d}"
        if find_spec(name) is not None:
            import_module(name)
    if id not in _REGISTER:
        known = ", ".join(sorted(key for key in _REGISTER if key.split(".")[0] == lesson)) or "none"
        raise KeyError(f"there is no exercise {id!r}; lesson {lesson} has: {known}")
    return _REGISTER[id]


def all_exercises() -> list[Exercise]:
    """Import the files of all lessons and return their exercises, in order."""
    for path in sorted(Path(__file__).parent.glob("lesson_*.py")):
        import_module(f"{__name__}.{path.stem}")
    return [_REGISTER[key] for key in sorted(_REGISTER, key=lambda key: tuple(map(int, key.split("."))))]


def call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Run the learner's function.

    Raises
    ------
    NotAttempted
        When it gives back None or ``...``: its body is still the stub.
    """
    result = function(*args, **kwargs)
    if result is None or result is ...:
        raise NotAttempted
    return result
