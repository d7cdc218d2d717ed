"""Quizzes, widgets, glossary, installation check and the picture of lesson 00."""

import os
import subprocess
import sys
import tomllib
from html.parser import HTMLParser

import numpy as np
import pytest

from course_lib.teaching import check_installation, fast, glossary, installation, interactive, quiz, quizzes, widgets
from course_lib.teaching.demos import TRUE_ERROR, score_histogram, simulated_scores

LESSONS = sorted(path.stem for path in quizzes.FOLDER.glob("*.toml"))


class Tags(HTMLParser):
    """Checks that tags nest, and counts them."""

    def __init__(self, html):
        super().__init__()
        self.open, self.seen = [], []
        self.feed(html)
        assert not self.open, f"unclosed {self.open}"

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.seen.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("lesson", LESSONS)
def test_quiz_is_complete_static_and_stable(lesson):
    shown = quiz(lesson)
    html = shown._repr_html_()
    tags = Tags(html).seen
    assert len(shown.questions) == 5
    assert tags.count("details") == sum(len(q.options) for q in shown.questions)
    assert html.count("<strong>Right.</strong>") == 5
    assert not {"script", "input", "button", "style", "iframe"} & set(tags)
    assert "`" not in html, "unpaired backtick"
    quizzes.load_quiz.cache_clear()
    assert quiz(lesson)._repr_html_() == html
    assert all(q.text in repr(shown) for q in shown.questions)


@pytest.mark.parametrize("lesson", LESSONS)
def test_quiz_marks_letters(lesson, capsys):
    questions = quiz(lesson).questions
    best = "".join(quizzes.LETTERS[q.answer] for q in questions)
    assert quiz(lesson, answers=best) is None
    assert "5 of 5 right" in capsys.readouterr().out
    worst = "".join(quizzes.LETTERS[(q.answer + 1) % len(q.options)] for q in questions)
    quiz(lesson, answers=worst)
    assert "0 of 5 right" in capsys.readouterr().out


def test_quiz_refuses_what_does_not_fit():
    with pytest.raises(quizzes.QuizError, match="no quiz for lesson '77'"):
        quiz("77")
    with pytest.raises(quizzes.QuizError, match="4 letters"):
        quiz("00", answers="aaaa")
    with pytest.raises(quizzes.QuizError, match="no option 'z'"):
        quiz("00", answers="zaaaa")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda q: q.pop("why"), "why missing"),
        (lambda q: q.update(answer=4), "answer must be"),
        (lambda q: q.update(answer="a"), "answer must be"),
        (lambda q: q["options"].pop(), "three or four"),
        (lambda q: q["options"].__setitem__(1, q["options"][0]), "different options"),
        (lambda q: q["why"].append("x"), "reasons"),
        (lambda q: q.update(question=" "), "empty"),
    ],
)
def test_a_malformed_question_is_named(change, says):
    content = tomllib.loads((quizzes.FOLDER / "00.toml").read_text(encoding="utf-8"))
    change(content["questions"][2])
    with pytest.raises(quizzes.QuizError, match=rf"question 3.*{says}"):
        quizzes.parse_quiz("00", content)


def test_a_quiz_has_five_questions_and_no_pattern():
    content = tomllib.loads((quizzes.FOLDER / "00.toml").read_text(encoding="utf-8"))
    four = {**content, "questions": content["questions"][:4]}
    with pytest.raises(quizzes.QuizError, match="4 questions"):
        quizzes.parse_quiz("00", four)
    for question in content["questions"]:
        question["answer"] = 1
    with pytest.raises(quizzes.QuizError, match="same place"):
        quizzes.parse_quiz("00", content)


def test_markup_in_a_question_is_escaped():
    assert quizzes._inline("`n < 5` & <b>") == "<code>n &lt; 5</code> &amp; &lt;b&gt;"


# ---------------------------------------------------------------------------------------------------------- widgets


def recorder(calls):
    def plot(n=10, model="mean", log=False):
        calls.append((n, model, log))
        return "ignored"

    return plot


CONTROLS = {"n": (5, 20, 5), "model": ["mean", "ridge"], "log": False}


def test_without_widgets_the_defaults_are_drawn(monkeypatch, capsys):
    monkeypatch.delenv("COURSE_BUILD", raising=False)
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    calls = []
    interactive(recorder(calls), **CONTROLS)
    assert calls == [(10, "mean", False)]
    assert "not installed" in capsys.readouterr().out


def test_a_build_tries_both_ends_of_each_control(monkeypatch):
    monkeypatch.setenv("COURSE_BUILD", "1")
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    calls = []
    interactive(recorder(calls), **CONTROLS)
    assert calls == [
        (10, "mean", False),
        (5, "mean", False),
        (20, "mean", False),
        (10, "ridge", False),
        (10, "mean", True),
    ]


def test_an_error_at_the_end_of_a_slider_fails_the_build(monkeypatch):
    monkeypatch.setenv("COURSE_BUILD", "1")

    def plot(n=10):
        if n == 0:
            raise ZeroDivisionError("no molecules")

    with pytest.raises(ZeroDivisionError, match="no molecules"):
        interactive(plot, n=(0, 20))


def test_the_widget_starts_at_the_defaults_and_redraws(monkeypatch):
    calls = []
    shown = widgets._widget(recorder(calls), CONTROLS, {"n": 10, "model": "mean", "log": False})
    kinds = [type(child).__name__ for child in shown.children]
    assert kinds == ["IntSlider", "Dropdown", "Checkbox", "Output"]
    assert calls == [(10, "mean", False)]
    shown.children[0].value = 15
    shown.children[1].value = "ridge"
    assert calls[1:] == [(15, "mean", False), (15, "ridge", False)]


def test_float_sliders():
    shown = widgets._widget(lambda scale=0.5: None, {"scale": (0.0, 1.0, 0.1)}, {"scale": 0.5})
    assert type(shown.children[0]).__name__ == "FloatSlider"
    assert shown.children[0].step == 0.1


@pytest.mark.parametrize(
    ("function", "controls", "error", "says"),
    [
        (lambda n=1: None, {"m": (0, 2)}, TypeError, "no parameter 'm'"),
        (lambda n: None, {"n": (0, 2)}, TypeError, "needs a default"),
        (lambda n=1: None, {"n": "abc"}, TypeError, "must be a tuple"),
        (lambda n=1: None, {"n": (0, 1, 2, 3)}, TypeError, "must be"),
        (lambda n=5: None, {"n": (0, 2)}, ValueError, "outside"),
        (lambda n="c": None, {"n": ["a", "b"]}, ValueError, "not among"),
    ],
)
def test_controls_that_do_not_fit_are_refused(function, controls, error, says):
    with pytest.raises(error, match=says):
        interactive(function, **controls)


# -------------------------------------------------------------------------------------------- glossary, installation


def test_glossary_is_complete_and_looks_up_both_languages():
    frame = glossary().frame
    assert len(frame) >= 50
    assert not (frame == "").any().any()
    assert frame["term"].is_unique
    assert frame["lesson"].str.fullmatch(r"\d\d").all()
    assert frame["japanese"].map(lambda text: any(ord(c) > 0x3000 for c in text) or text.isascii()).all()
    assert list(glossary("Overfitting").frame["japanese"]) == ["過学習"]
    assert list(glossary("過学習").frame["term"]) == ["overfitting"]
    assert set(glossary(lesson="03").frame["lesson"]) == {"03"}


def test_glossary_suggests_and_displays():
    with pytest.raises(KeyError, match="did you mean overfitting"):
        glossary("overfiting")
    with pytest.raises(KeyError, match="no term is explained in lesson '77'"):
        glossary(lesson="77")
    shown = glossary("leakage")
    assert Tags(shown._repr_html_()).seen.count("td") == 4
    assert "Leakage" in repr(shown)


def test_installation_check_names_versions_and_remedies(monkeypatch, capsys):
    monkeypatch.setattr(installation, "tested_versions", lambda: {"numpy": "0.1", "pandas": "2.3.3"})
    monkeypatch.setattr(installation, "NEEDED", ("numpy", "no-such-package-here"))
    monkeypatch.setattr(installation, "LATER", ())
    monkeypatch.setattr(installation, "PARTS", {"broken part": lambda: 1 / 0, "good part": lambda: None})
    check_installation()
    out = capsys.readouterr().out
    assert "differs (tested with 0.1)" in out
    assert "no-such-package-here    missing" in out
    assert "does not work (ZeroDivisionError" in out
    assert "make setup" in out
    assert out.rstrip().splitlines()[-1].startswith("2 thing(s) to put right")


def test_installation_check_prints_no_path(capsys):
    check_installation()
    out = capsys.readouterr().out
    assert os.path.expanduser("~") not in out.replace("libomp", "")
    assert not any(word.startswith("/") for word in out.split())
    assert "as tested" in out


def test_tested_versions_are_read_from_the_pins():
    pins = installation.tested_versions()
    assert set(installation.NEEDED) | set(installation.LATER) <= set(pins)


def test_an_unwritable_cache_is_explained(monkeypatch, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("COURSE_CACHE", str(blocked / "cache"))
    assert "COURSE_CACHE" in installation._cache()


def test_fast_and_full(monkeypatch):
    monkeypatch.setenv("COURSE_MODE", "fast")
    assert fast()
    monkeypatch.setenv("COURSE_MODE", "full")
    assert not fast()


def test_scores_of_small_test_sets():
    scores = simulated_scores(10)
    assert np.array_equal(scores, simulated_scores(10))
    assert scores.mean() == pytest.approx(TRUE_ERROR, rel=0.02)
    # the size of a Laplace error is exponential: its standard deviation is its mean, divided by sqrt(n)
    assert scores.std() == pytest.approx(TRUE_ERROR / np.sqrt(10), rel=0.05)
    assert score_histogram(40).get_title() == "One model, many test sets of 40 molecules"


def test_importing_the_teaching_package_is_light():
    code = "import sys, course_lib.teaching; print({'torch', 'rdkit', 'lightgbm', 'matplotlib'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_no_word_stands_twice_in_the_glossary():
    """Nor in both languages: the site's index takes each word once."""
    frame = glossary().frame
    words = [word.casefold() for word in [*frame["term"], *frame["japanese"]]]
    assert sorted({word for word in words if words.count(word) > 1}) == []
