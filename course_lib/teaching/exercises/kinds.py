"""Two kinds of exercises that recur: write a function, and name the letters of what is so.

Each mistake stands once, with its diagnosis. The check compares an answer with it, and the tests hand it in as an
answer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from course_lib.teaching.exercises import Case, Verdict, call, exercise, right, wrong

Function = Callable[..., Any]
NO_FUNCTION = "The answer should be the function itself, without brackets behind its name."


def function_exercise(
    id: str,
    *,
    inputs: Callable[[], Sequence[tuple]],
    solution: Function,
    why: str | Callable[[], str],
    mistakes: Mapping[str, Function | Sequence[Function]],
    shape: str | Callable[[np.ndarray], str],
    otherwise: str | Callable[[np.ndarray, np.ndarray], str],
    also_right: Sequence[Function] = (),
    signs: Mapping[str, Callable[[list[np.ndarray]], Any]] | None = None,
    others: Mapping[str, Any] | None = None,
    rtol: float = 1e-6,
) -> None:
    """Register an exercise whose answer is a function of numbers.

    The learner's function runs on the inputs, beside the solution and beside each known mistake.

    Parameters
    ----------
    id : str
    inputs : callable
        Returns the arguments of each run, made anew for each function: an answer may change what it is given. Enough
        runs to tell every mistake from the solution and from the others.
    solution : callable
    why : str or callable
        Why it is right.
    mistakes : mapping of str to callable or sequence of callables
        For each diagnosis the functions that deserve it. The first that agrees with the answer speaks.
    shape : str or callable
        What to say where the first result has another shape than the solution's; a callable gets the result.
    otherwise : str or callable
        What to say to any other answer; a callable gets the result and the solution's, of the first run.
    also_right : sequence of callables
        Other functions that are accepted.
    signs : mapping of str to callable
        For each diagnosis what gives it away in the results of all runs, such as that they are equal. Tried after the
        mistakes, and only where the shape is right.
    others : mapping of str to object
        Further wrong answers for the tests, by words of the diagnosis that they must meet.
    rtol : float
        Largest relative difference of results that count as equal.
    """

    def results(function: Function) -> list[np.ndarray]:
        with np.errstate(all="ignore"):  # some mistakes divide by zero
            return [_numbers(call(function, *arguments)) for arguments in inputs()]

    def check(answer: Any, **context: Any) -> Verdict:
        if not callable(answer):
            return wrong(NO_FUNCTION)
        given, truth = results(answer), results(solution)

        def same(function: Function) -> bool:
            theirs = results(function)
            return all(
                mine.shape == other.shape and np.allclose(mine, other, rtol=rtol, atol=1e-9, equal_nan=True)
                for mine, other in zip(given, theirs, strict=True)
            )

        if any(same(function) for function in (solution, *also_right)):
            return right(why() if callable(why) else why)
        for diagnosis, functions in mistakes.items():
            if any(same(function) for function in _each(functions)):
                return wrong(diagnosis)
        if given[0].shape != truth[0].shape:
            return wrong(shape(given[0]) if callable(shape) else shape)
        for diagnosis, shown in (signs or {}).items():
            if shown(given):
                return wrong(diagnosis)
        return wrong(otherwise(given[0], truth[0]) if callable(otherwise) else otherwise)

    exercise(
        id,
        solution=lambda: Case(solution),
        wrong_answers=lambda: [
            *(Case(function, says=text) for text, functions in mistakes.items() for function in _each(functions)),
            *(Case(answer, says=text) for text, answer in (others or {}).items()),
            Case(0.5, says=NO_FUNCTION),
        ],
    )(check)


def _each(functions: Function | Sequence[Function]) -> Sequence[Function]:
    return [functions] if callable(functions) else functions


def _numbers(result: Any) -> np.ndarray:
    """Return the result as numbers; none at all where it is something else."""
    try:
        return np.asarray(result, dtype=float)
    except (TypeError, ValueError):
        return np.array([])


def letters_exercise(
    id: str,
    *,
    why: str,
    chosen: Mapping[str, str],
    not_chosen: Mapping[str, str],
    none: str,
    example: Collection[str],
) -> None:
    """Register an exercise whose answer is a set of letters.

    Parameters
    ----------
    id : str
    why : str
        Why the right set is right.
    chosen, not_chosen : mapping of str to str
        The letters that belong to the answer with what to say where one is missing, and the others with what to say
        where one is given.
    none : str
        What to say to an empty set.
    example : collection of str
        Letters to show how an answer is written.
    """
    letters = sorted({*chosen, *not_chosen})

    def check(answer: Any, **context: Any) -> Verdict:
        given = {str(letter).strip().upper() for letter in answer}
        if not given:
            return wrong(none)
        if not given <= set(letters):
            shown = ", ".join(repr(letter) for letter in example)
            return wrong(f"Give letters {letters[0]} to {letters[-1]}, for instance {{{shown}}}.")
        for letter, text in not_chosen.items():
            if letter in given:
                return wrong(text)
        for letter, text in chosen.items():
            if letter not in given:
                return wrong(text)
        return right(why)

    exercise(
        id,
        solution=lambda: Case(set(chosen)),
        wrong_answers=lambda: [
            *(Case({*chosen, letter}, says=text) for letter, text in not_chosen.items()),
            *(Case(set(chosen) - {letter}, says=text) for letter, text in chosen.items()),
            Case({*chosen, "?"}, says="Give letters"),
            Case(set(), says=none),
        ],
    )(check)
