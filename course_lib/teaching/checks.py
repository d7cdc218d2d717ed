"""Checks of exercises, and the comparison of a prediction with what was measured."""

from __future__ import annotations

import dis
import math
import textwrap
from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Any

from course_lib.teaching.exercises import NotAttempted, Verdict, find

WIDTH = 96
"""Columns to which printed explanations are wrapped; no more are shown on a narrow JupyterLab page."""


def check(id: str, answer: Any, **context: Any) -> None:
    """Check the answer to an exercise and print what to make of it.

    Parameters
    ----------
    id : str
        Lesson and number of the exercise, as in ``"1.2"``.
    answer : object
        The learner's answer. ``...``, None, a container that holds ``...`` and a function without a body count as
        not attempted.
    **context
        What the checker needs from the notebook, by keyword.

    Raises
    ------
    KeyError
        When there is no such exercise.
    """
    state, text = examine(id, answer, **context)
    print(wrap(f"Exercise {id}: {state}. {text}" if text else f"Exercise {id}: {state}."))


def examine(id: str, answer: Any, **context: Any) -> tuple[str, str]:
    """Do what `check` does without printing.

    Returns
    -------
    state : {"not attempted yet", "not yet", "correct"}
    text : str
        The diagnosis or the explanation.
    """
    checker = find(id).checker
    if is_stub(answer):
        return "not attempted yet", ""
    try:
        verdict = checker(answer, **context)
    except NotAttempted:
        return "not attempted yet", ""
    except Exception as error:  # the learner's own code may raise anything; it becomes part of the diagnosis
        if "ellipsis" in str(error):
            return "not attempted yet", "There is still a `...` in your answer."
        return "not yet", f"Your answer stopped with {type(error).__name__}: {error}"
    if not isinstance(verdict, Verdict):
        raise TypeError(f"the checker of exercise {id} returned {verdict!r} instead of right(...) or wrong(...)")
    return ("correct" if verdict.passed else "not yet"), verdict.text


def is_stub(answer: Any) -> bool:
    """Whether an answer has not been touched: ``...``, None, a container of these, or a function without a body."""
    if answer is None or answer is ...:
        return True
    if isinstance(answer, Mapping):
        return any(value is ... for value in answer.values())
    if isinstance(answer, (list, tuple, set, frozenset)):
        return any(item is ... for item in answer)
    if callable(answer) and hasattr(answer, "__code__"):
        return _empty_body(answer)
    return False


def _empty_body(function: Callable[..., Any]) -> bool:
    """Whether a function does nothing but return None (its body is ``...``, ``pass`` or a docstring)."""
    instructions = [i for i in dis.get_instructions(function) if i.opname not in {"RESUME", "NOP", "CACHE"}]
    names = {i.opname for i in instructions}
    if not names <= {"LOAD_CONST", "RETURN_VALUE", "RETURN_CONST"}:
        return False
    constants = [i.argval for i in instructions if i.opname in {"LOAD_CONST", "RETURN_CONST"}]
    return constants in ([None], [...])


def show_prediction(mine: Any, truth: Any, units: str = "") -> None:
    """Print a prediction beside what was measured.

    Parameters
    ----------
    mine : float, str or ...
        What the learner wrote down; ``...`` and None mean nothing.
    truth : float or str
        What was measured; numbers are shown with three significant digits, counts (whole numbers) with all of theirs.
    units : str
    """
    measured = _quantity(truth, units)
    if is_stub(mine):
        print(f"Measured: {measured}. (You wrote no prediction: guess first, it is half of the lesson.)")
        return
    line = f"You predicted {_quantity(mine, units)}; measured: {measured}."
    if _is_number(mine) and _is_number(truth):
        gap, counts = mine - truth, _is_whole(mine) and _is_whole(truth)
        if gap == 0 if counts else f"{mine:.3g}" == f"{truth:.3g}":
            line += " That is what was measured" + ("." if counts else ", to three digits.")
        else:
            line += f" You were {_quantity(abs(gap), units)} too {'high' if gap > 0 else 'low'}."
    else:
        line += " As you said." if str(mine).strip().lower() == str(truth).strip().lower() else " Not as you said."
    print(line)


def number(value: float) -> str:
    """Format a number: a count as it is, others with three significant digits, no exponent where that is readable."""
    if _is_whole(value):
        return str(value)
    value = float(value)
    if value == 0 or value != value or value in (float("inf"), float("-inf")):
        return "0" if value == 0 else f"{value:g}"
    if 1e-4 <= abs(value) < 1e6:
        rounded = float(f"{value:.3g}")
        if abs(rounded) >= 100:
            return f"{rounded:.0f}"
        text = f"{rounded:#.3g}"
        return text.rstrip(".")
    return f"{value:.2e}"


def figures(estimate: float, low: float, high: float) -> tuple[str, str, str]:
    """Format an estimate and its interval with as many decimals as give the largest of them three digits.

    So an end that is nearly zero reads 0.000, not 4.01e-06.
    """
    largest = max(abs(value) for value in (estimate, low, high))
    if not 1e-4 <= largest < 1e6:
        return number(estimate), number(low), number(high)
    decimals = max(0, 2 - math.floor(math.log10(largest)))
    return tuple(f"{round(value, decimals) + 0.0:.{decimals}f}" for value in (estimate, low, high))


def _quantity(value: Any, units: str) -> str:
    text = number(value) if _is_number(value) else str(value)
    return f"{text} {units}".strip()


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    if isinstance(value, (bool, str)):
        return False
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def wrap(text: str, hanging: int = 0) -> str:
    """Break long lines between words; `hanging` is the indent of the lines that continue one."""
    options = {"subsequent_indent": " " * hanging, "break_long_words": False, "break_on_hyphens": False}
    return "\n".join(textwrap.fill(line, WIDTH, **options) for line in text.splitlines())
