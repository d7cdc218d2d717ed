"""Quizzes that need neither JavaScript nor a widget.

Each option is an HTML ``<details>`` element: a click on it says whether it is right, and why. So the same output works
in JupyterLab, in the classic Notebook and on a static page, and it is the same bytes on every run.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "quizzes"
LETTERS = "abcdef"


class QuizError(ValueError):
    """A quiz file is missing or does not hold what it must."""


@dataclass(frozen=True)
class Question:
    """A question, its options, the index of the right one (from 0), and a reason for each option."""

    text: str
    options: tuple[str, ...]
    answer: int
    why: tuple[str, ...]


@dataclass(frozen=True)
class Quiz:
    """The questions of one lesson; displays itself in a notebook.

    Attributes
    ----------
    lesson : str
    title : str
    questions : tuple of Question
    """

    lesson: str
    title: str
    questions: tuple[Question, ...]

    def _repr_html_(self) -> str:
        parts = ['<div class="course-quiz">', "<p>Click an option to see whether it is right, and why.</p>"]
        for n, question in enumerate(self.questions, start=1):
            parts.append(f"<p style='margin-bottom: 0.4em'><strong>{n}. {_inline(question.text)}</strong></p>")
            parts.append("<div style='margin-bottom: 1.2em'>")
            for k, (option, why) in enumerate(zip(question.options, question.why, strict=True)):
                verdict = "Right." if k == question.answer else "No."
                parts.append(
                    f"<details><summary>{LETTERS[k]}) {_inline(option)}</summary>"
                    f"<p><strong>{verdict}</strong> {_inline(why)}</p></details>"
                )
            parts.append("</div>")
        parts.append("</div>")
        return "\n".join(parts)

    def __repr__(self) -> str:
        lines = [f"Quiz {self.lesson}: {self.title}"]
        for n, question in enumerate(self.questions, start=1):
            lines += ["", f"{n}. {question.text}"]
            lines += [f"   {LETTERS[k]}) {option}" for k, option in enumerate(question.options)]
        example = LETTERS[0] * len(self.questions)
        lines += ["", f"quiz({self.lesson!r}, answers={example!r}) marks one letter a question."]
        return "\n".join(lines)


def quiz(lesson: str, answers: str | None = None) -> Quiz | None:
    """Show the quiz of a lesson, or mark answers to it.

    Parameters
    ----------
    lesson : str
        Two digits, as in ``"01"``.
    answers : str, optional
        One letter a question, as in ``"abcab"``: prints for each whether it is right and why, and the number of right
        ones.

    Returns
    -------
    Quiz or None
        The quiz, which a notebook displays; None when `answers` were marked.

    Raises
    ------
    QuizError
        When there is no such quiz, its file is malformed, or `answers` does not fit it.
    """
    shown = load_quiz(lesson)
    if answers is None:
        return shown
    letters = answers.strip().lower()
    if len(letters) != len(shown.questions):
        raise QuizError(f"quiz {lesson} has {len(shown.questions)} questions, {len(letters)} letters were given")
    score = 0
    for n, (letter, question) in enumerate(zip(letters, shown.questions, strict=True), start=1):
        chosen = LETTERS.find(letter)
        if not 0 <= chosen < len(question.options):
            known = LETTERS[: len(question.options)]
            raise QuizError(f"question {n} has no option {letter!r}; its options are {known}")
        score += chosen == question.answer
        print(f"{n}. {letter}) {'right' if chosen == question.answer else 'no'}. {question.why[chosen]}")
    print(f"{score} of {len(shown.questions)} right")
    return None


@cache
def load_quiz(lesson: str) -> Quiz:
    """Read and validate the quiz of a lesson.

    Raises
    ------
    QuizError
        See `quiz`.
    """
    path = FOLDER / f"{lesson}.toml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in FOLDER.glob("*.toml"))) or "none"
        raise QuizError(f"there is no quiz for lesson {lesson!r}; there are: {known}")
    return parse_quiz(lesson, tomllib.loads(path.read_text(encoding="utf-8")))


def parse_quiz(lesson: str, content: dict[str, Any]) -> Quiz:
    """Make a Quiz of a parsed TOML file.

    Raises
    ------
    QuizError
        Names the question that is malformed.
    """
    questions = []
    for n, raw in enumerate(content.get("questions", []), start=1):
        where = f"quiz {lesson}, question {n}"
        missing = {"question", "options", "answer", "why"} - raw.keys()
        if missing:
            raise QuizError(f"{where}: {', '.join(sorted(missing))} missing")
        options, why, answer = tuple(raw["options"]), tuple(raw["why"]), raw["answer"]
        if not 3 <= len(options) <= 4 or len(set(options)) != len(options):
            raise QuizError(f"{where}: three or four different options are needed")
        if len(why) != len(options):
            raise QuizError(f"{where}: {len(options)} options but {len(why)} reasons")
        if not isinstance(answer, int) or not 1 <= answer <= len(options):
            raise QuizError(f"{where}: answer must be 1 to {len(options)}")
        if not all(str(text).strip() for text in (raw["question"], *options, *why)):
            raise QuizError(f"{where}: an empty text")
        questions.append(Question(raw["question"], options, answer - 1, why))
    if len(questions) != 5:
        raise QuizError(f"quiz {lesson} has {len(questions)} questions; a lesson has five")
    if len({question.answer for question in questions}) == 1:
        raise QuizError(f"quiz {lesson}: every right answer stands in the same place")
    return Quiz(lesson, str(content.get("title", "")), tuple(questions))


def _inline(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))
