"""Exercises: every check knows typical mistakes, the stub is not attempted, and the register guards itself."""

import numpy as np
import pytest

from course_lib.teaching import check, show_prediction
from course_lib.teaching.checks import examine, figures, is_stub, number
from course_lib.teaching.exercises import Case, all_exercises, call, exercise, find, right, wrong
from course_lib.teaching.exercises.kinds import NO_FUNCTION, function_exercise, letters_exercise

EXERCISES = all_exercises()


@pytest.mark.parametrize("ex", EXERCISES, ids=lambda ex: ex.id)
def test_the_solution_passes_and_is_explained(ex):
    case = ex.solution()
    state, text = examine(ex.id, case.answer, **case.context)
    assert state == "correct", text
    assert len(text) > 20, "a right answer deserves a reason"


@pytest.mark.parametrize("ex", EXERCISES, ids=lambda ex: ex.id)
def test_at_least_three_typical_mistakes_are_diagnosed_by_name(ex):
    cases = list(ex.wrong_answers())
    diagnoses = []
    for case in cases:
        state, text = examine(ex.id, case.answer, **case.context)
        assert case.says, "say which words the diagnosis must hold"
        assert state == "not yet", f"{case.answer!r} passed"
        assert not text.startswith("Your answer stopped with"), text
        assert case.says in text, f"{case.answer!r}: {text}"
        diagnoses.append(text)
    assert len(set(diagnoses)) >= 3, "three different mistakes need three different diagnoses"


@pytest.mark.parametrize("ex", EXERCISES, ids=lambda ex: ex.id)
@pytest.mark.parametrize("stub", [..., None, lambda *a, **k: ..., [1, ...]], ids=["dots", "none", "function", "list"])
def test_the_stub_is_not_attempted(ex, stub):
    context = ex.solution().context
    assert examine(ex.id, stub, **context) == ("not attempted yet", "")


def test_stubs_are_told_from_answers():
    def only_dots(x): ...

    def only_pass(x):
        pass

    def only_docstring(x):
        """Say nothing."""

    def returns_none(x):
        return None

    def works(x):
        return x + 1

    for stub in (only_dots, only_pass, only_docstring, returns_none, {"a": ...}, (1, ...), ...):
        assert is_stub(stub)
    for answer in (works, 0, "", [], {}, np.array([1.0, 2.0]), lambda: 0, int):
        assert not is_stub(answer)


@pytest.fixture
def planted(monkeypatch):
    """A register with exercise 99.1, which asks for a function that doubles, and nothing left behind."""
    from course_lib.teaching import exercises

    monkeypatch.setattr(exercises, "_REGISTER", dict(exercises._REGISTER))

    @exercise("99.1", solution=lambda: Case(lambda x: 2 * x), wrong_answers=list)
    def _(answer, start=3, **context):
        result = call(answer, start)
        return right("Twice as much.") if result == 2 * start else wrong("Did you square it?")


def test_check_prints_plain_text_and_returns_nothing(planted, capsys):
    assert check("99.1", lambda x: x**2, start=4) is None
    assert capsys.readouterr().out == "Exercise 99.1: not yet. Did you square it?\n"
    check("99.1", lambda x: 2 * x)
    assert capsys.readouterr().out == "Exercise 99.1: correct. Twice as much.\n"
    check("99.1", ...)
    assert capsys.readouterr().out == "Exercise 99.1: not attempted yet.\n"


def test_answers_that_break_are_diagnosed_without_a_traceback(planted):
    assert examine("99.1", lambda x: x / 0) == (
        "not yet",
        "Your answer stopped with ZeroDivisionError: division by zero",
    )

    def half_done(x):
        factor = ...
        return factor * x

    state, text = examine("99.1", half_done)
    assert state == "not attempted yet"
    assert "..." in text

    def returns_dots(x):
        value = ...
        return value

    assert examine("99.1", returns_dots)[0] == "not attempted yet"


def test_the_register_guards_itself(planted):
    with pytest.raises(ValueError, match="registered twice"):
        exercise("99.1", solution=Case, wrong_answers=list)(lambda answer: right(""))
    with pytest.raises(ValueError, match=r"lesson\.number"):
        exercise("one", solution=Case, wrong_answers=list)
    with pytest.raises(KeyError, match=r"no exercise '0\.9'; lesson 0 has: 0\.1"):
        find("0.9")
    with pytest.raises(KeyError, match="no exercise 'x'"):
        find("x")


def test_a_checker_without_a_verdict_is_a_bug(planted):
    exercise("99.2", solution=Case, wrong_answers=list)(lambda answer: True)
    with pytest.raises(TypeError, match=r"99\.2"):
        examine("99.2", 1)


def test_a_function_is_compared_with_the_solution_and_with_each_mistake(planted):
    function_exercise(
        "99.3",
        inputs=lambda: [(np.array([1.0, 2.0]),), (np.array([3.0, 5.0]),)],
        solution=lambda x: x.sum(),
        also_right=[lambda x: x.sum() + 1],
        why="added",
        mistakes={"a product": np.prod, "one of them": [np.max, np.min]},
        shape=lambda given: f"shape {given.shape}",
        signs={"always the same": lambda given: given[0] == given[1]},
        otherwise=lambda given, truth: f"{given:.0f}, not {truth:.0f}",
    )

    def spoils_its_input(x):
        total = x.sum()
        x[:] = 0
        return total

    answers = {
        "added": [np.sum, lambda x: sum(x) + 1, spoils_its_input],
        "a product": [lambda x: x[0] * x[1]],
        "one of them": [max, min],
        "shape (2,)": [lambda x: x],
        "shape (0,)": [lambda x: "three"],
        "always the same": [lambda x: 7],
        "nan, not 3": [lambda x: np.nan * x[0]],
        "4, not 3": [lambda x: 2 * x[1]],
        NO_FUNCTION: [3],
    }
    for text, functions in answers.items():
        for function in functions:
            assert examine("99.3", function) == ("correct" if text == "added" else "not yet", text)


def test_letters_are_looked_at_one_by_one(planted):
    letters_exercise(
        "99.4", why="so it is", chosen={"B": "B too"}, not_chosen={"A": "not A"}, none="one at least", example="AB"
    )
    answers = {
        "so it is": {"b"},
        "not A": "AB",
        "one at least": [],
        "Give letters A to B, for instance {'A', 'B'}.": "BC",
    }
    for text, answer in answers.items():
        assert examine("99.4", answer)[1] == text


def test_predictions(capsys):
    show_prediction(40, 37.66, "K")
    show_prediction(37.7, 37.66, "K")
    show_prediction(..., 37.66, "K")
    show_prediction("Ridge", "ridge")
    show_prediction("ridge", "LightGBM")
    show_prediction(10, np.int64(14), "descriptors")
    show_prediction(14, np.int64(14), "descriptors")
    show_prediction(1610, 1613, "descriptors")
    show_prediction(50, 50.04, "K")
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "You predicted 40 K; measured: 37.7 K. You were 2.34 K too high."
    assert out[1].endswith("That is what was measured, to three digits.")
    assert out[2].startswith("Measured: 37.7 K. (You wrote no prediction")
    assert out[3].endswith("As you said.")
    assert out[4].endswith("Not as you said.")
    assert out[5] == "You predicted 10 descriptors; measured: 14 descriptors. You were 4 descriptors too low."
    assert out[6].endswith("measured: 14 descriptors. That is what was measured.")
    assert out[7].endswith("measured: 1613 descriptors. You were 3 descriptors too low.")
    assert out[8] == "You predicted 50 K; measured: 50.0 K. That is what was measured, to three digits."


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (37.66, "37.7"), (0.5, "0.500"), (351.0, "351"), (12345.0, "12300"), (99.96, "100"), (-2.5, "-2.50"),
        (0.0, "0"), (12345, "12345"), (np.int64(14), "14"), (0, "0"),
        (0.00001234, "1.23e-05"), (float("inf"), "inf"), (float("nan"), "nan"), (np.float64(0.04999), "0.0500"),
    ],
)  # fmt: skip
def test_three_significant_digits_and_all_digits_of_a_count(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((0.0452, 4.0e-6, 0.0903), "0.0452 0.0000 0.0903"), ((-0.266, -0.5604, 0.02856), "-0.266 -0.560 0.029"),
        ((-11.346, -15.9, -6.793), "-11.3 -15.9 -6.8"), ((1.3554, 0.868, 1.843), "1.36 0.87 1.84"),
        ((0.02, -1e-9, 0.04), "0.0200 0.0000 0.0400"), ((0, 0, 0), "0 0 0"), ((412.4, 380.2, 444.6), "412 380 445"),
        ((2e-5, 1e-5, 3e-5), "2.00e-05 1.00e-05 3.00e-05"),
    ],
)  # fmt: skip
def test_an_interval_is_written_with_the_decimals_of_its_estimate(values, text):
    assert " ".join(figures(*values)) == text


def test_right_answers_that_differ_from_the_solution_pass():
    from sklearn.feature_selection import SelectKBest, f_regression
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def all_limits(k):
        return {
            "min_child_samples": -(-20 // k),
            "reg_alpha": 0.8 / k,
            "reg_lambda": 0.2 / k,
            "min_child_weight": 1e-3 / k,
        }

    chosen = make_pipeline(SelectKBest(f_regression, k=20), StandardScaler(), Ridge())
    for id, answer in (
        ("0.3", 38),
        ("2.1", {"a", "b", "d", "f"}),
        ("2.3", "ClC(C)CC(Cl)CC(Cl)CC"),
        ("2.3", "CC[C@H](Cl)C[C@H](Cl)C[C@H](C)Cl"),
        ("3.2", chosen),
        ("3.1", all_limits),
    ):
        assert examine(id, answer)[0] == "correct", id
    assert examine("0.3", 50)[0] == "not yet"


def test_any_estimator_that_chooses_twenty_columns_inside_the_folds_is_right():
    from sklearn.feature_selection import RFE, SelectKBest, f_regression
    from sklearn.linear_model import OrthogonalMatchingPursuit, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    by_correlation = make_pipeline(SelectKBest(f_regression, k=20), Ridge(0.1))
    for answer in (
        by_correlation,
        make_pipeline(StandardScaler(), by_correlation),
        RFE(Ridge(0.1), n_features_to_select=20, step=0.5),
        OrthogonalMatchingPursuit(n_nonzero_coefs=20),
    ):
        assert examine("1.4", answer)[0] == "correct", answer
    for answer in (OrthogonalMatchingPursuit(n_nonzero_coefs=30), make_pipeline(StandardScaler(), Ridge(0.1))):
        assert examine("1.4", answer)[0] == "not yet", answer
