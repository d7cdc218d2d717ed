"""Checks of lesson 10: a slip found by the audit, a split for the use, chance, and what a report allows one to say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from course_lib.teaching.exercises import Case, Verdict, call, exercise, right, wrong
from course_lib.teaching.exercises.kinds import NO_FUNCTION, function_exercise

TABLE = Path(__file__).resolve().parents[3] / "data" / "lab_table.csv"


def _audit():
    from course_lib.datasets import read_table

    return read_table(TABLE)[1]


def _slip(audit) -> int:
    used = audit.rows[audit.rows["fate"] != "left out"]
    return int(used.loc[used["y"].idxmax(), "row"])


@exercise(
    "10.1",
    solution=lambda: Case(_slip(_audit())),
    wrong_answers=lambda: [
        Case(_slip(_audit()) - 3, says="position"),
        Case(_slip(_audit()) - 1, says="title"),
        Case(int(_audit().rows.query("fate == 'left out'")["row"].iloc[0]), says="left out"),
        Case(float(_audit().rows["y"].max()), says="value"),
        Case(4000, says="no row"),
        Case(int(_audit().rows.query("fate == 'merged'")["row"].iloc[0]), says="robust deviations"),
    ],
)
def _find_the_slip(answer: object) -> Verdict:
    audit = _audit()  # of the file as it came, whatever the notebook has read since
    rows, slip = audit.rows, _slip(audit)
    if not isinstance(answer, int | np.integer | float) or isinstance(answer, bool):
        return wrong("Give one number: the row of the file, as a spreadsheet shows it.")
    if answer == rows["y"].max():
        return wrong("That is the value. Asked: in which row of the file it stands.")
    if answer == slip:
        return right(
            "One value lies more than ten robust deviations from the rest. The audit does not remove it: it may be a "
            "discovery. Look into the lab book first; here a decimal comma stands one place too far to the right."
        )
    if answer == slip - 3:
        return wrong("That is the position in the list of rows, counted from 0. Colleagues count rows of the file.")
    if answer == slip - 1:
        return wrong("One too few: a title stands above the header, so the first molecule is in row 3.")
    found = rows[rows["row"] == answer]
    if found.empty:
        return wrong(f"There is no row {answer:g} below the header; they run from {rows['row'].min()} on.")
    if found["fate"].iloc[0] == "left out":
        return wrong("That row was left out, so it does no harm. Asked: a wrong value that was *used*.")
    return wrong("That value is not strange. Look at audit.findings, kind 'outlier': how many robust deviations?")


NEAREST = (
    ({"molecule": 0.42, "scaffold": 0.61, "cluster": 0.66}, 0.60),
    ({"molecule": 0.42, "scaffold": 0.61, "cluster": 0.66}, 0.20),
    ({"molecule": 0.42, "scaffold": 0.61, "cluster": 0.66}, 0.95),
    ({"molecule": 0.42, "cluster": 0.66}, 0.5),
    ({"molecule": 0.42, "scaffold": 0.61, "cluster": 0.66}, 0.64),
)


@exercise(
    "10.2",
    solution=lambda: Case(lambda nearest, aim: min(nearest, key=lambda kind: abs(nearest[kind] - aim))),
    wrong_answers=lambda: [
        Case(lambda nearest, aim: min(nearest, key=nearest.get), says="easiest"),
        Case(lambda nearest, aim: max(nearest, key=nearest.get), says="hardest"),
        Case(lambda nearest, aim: min(nearest, key=lambda kind: nearest[kind] - aim), says="easiest"),
        Case(lambda nearest, aim: max(nearest, key=lambda kind: abs(nearest[kind] - aim)), says="furthest"),
        Case(lambda nearest, aim: min(abs(value - aim) for value in nearest.values()), says="name"),
        Case("scaffold", says="function"),
    ],
)
def _like_the_use(answer: object, **context: object) -> Verdict:
    if not callable(answer):
        return wrong(NO_FUNCTION)
    found = [call(answer, dict(nearest), aim) for nearest, aim in NEAREST]
    if not all(isinstance(kind, str) for kind in found):
        return wrong("Return the name of the split (a key of the dictionary), not a distance.")

    def same(rule: Callable) -> bool:
        return found == [rule(nearest, aim) for nearest, aim in NEAREST]

    if same(lambda d, aim: min(d, key=lambda kind: abs(d[kind] - aim))):
        return right(
            "The test then asks what the candidates will ask. It is neither the kindest split nor the cruellest."
        )
    if same(lambda d, aim: min(d, key=d.get)):
        return wrong("That is always the easiest split. Its score is a promise for molecules that are hardly new.")
    if same(lambda d, aim: max(d, key=d.get)):
        return wrong("That is always the hardest split. For candidates close to the table it is too gloomy.")
    if same(lambda d, aim: max(d, key=lambda kind: abs(d[kind] - aim))):
        return wrong("You took the split that is furthest from the candidates' distance: min, not max.")
    return wrong("Take the absolute difference between each split's distance and that of the candidates.")


function_exercise(
    "10.3",
    inputs=lambda: [
        (0.4, np.array([0.1, -0.2, 0.0, 0.05])),
        (0.1, np.array([0.1, 0.3, -0.1, 0.0])),
        (0.0, np.array([0.5, 0.4])),
        (0.3, np.zeros(19)),
    ],
    solution=lambda skill, s: (1 + np.sum(s >= skill)) / (1 + len(s)),
    why="The real order is one of the orders that chance could have dealt, so it counts above and below the line. With "
    "19 scrambled runs the smallest p is 1/20.",
    mistakes={
        "A p value from n runs is never 0: the real order is one of the n + 1 possible ones. Count it.": (
            lambda skill, s: np.mean(s >= skill)
        ),
        "A scrambled run that does exactly as well counts against the model too: >=.": (
            lambda skill, s: (1 + np.sum(s > skill)) / (1 + len(s))
        ),
        "You counted on the wrong side: a large skill is good, so count the runs that reach it.": (
            lambda skill, s: (1 + np.sum(s <= skill)) / (1 + len(s))
        ),
        "This can be above 1. There are n + 1 orders, the real one among them.": (
            lambda skill, s: (1 + np.sum(s >= skill)) / len(s)
        ),
        "That is a count. Asked: a share.": lambda skill, s: np.sum(s >= skill),
    },
    shape="Give one number: the share of all runs that do at least as well.",
    others={"one number": lambda skill, s: s >= skill},
    otherwise="Count the scrambled runs that do at least as well, add one for the real order, divide by n + 1.",
)


@exercise(
    "10.4",
    solution=lambda: Case({"b", "d"}),
    wrong_answers=lambda: [
        Case({"a", "b", "d"}, says="marginal"),
        Case({"b", "c", "d"}, says="other"),
        Case({"b", "d", "e"}, says="extrapolation"),
        Case({"d"}, says="b"),
        Case({"b"}, says="d"),
        Case("bd", says="set"),
    ],
)
def _may_be_said(answer: object, **context: object) -> Verdict:
    if not isinstance(answer, set | frozenset) or not answer <= set("abcde"):
        return wrong("Give a set of letters, such as {'a', 'c'}.")
    if "a" in answer:
        return wrong(
            "a: coverage is marginal, a share of all molecules together. For one molecule nothing is promised."
        )
    if "c" in answer:
        return wrong("c: the score is for molecules like the left-out ones. About other classes the table is silent.")
    if "e" in answer:
        return wrong("e: that is an extrapolation of a curve with few points, and its interval stands beside it.")
    if "b" not in answer:
        return wrong(
            "One more may be said. Read b again: which interval does the page show for a difference to the mean?"
        )
    if "d" not in answer:
        return wrong("One more may be said. Read d again: where does the ceiling come from?")
    return right("Both are statements about this table and its split. The other three reach beyond what was measured.")
