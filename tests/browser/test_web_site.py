"""The web site as a visitor meets it, from files and without a network. ``make test-browser`` builds it first."""

from __future__ import annotations

from pathlib import Path

import pytest

from course_lib.teaching.quizzes import load_quiz

SITE = Path(__file__).resolve().parents[2] / "build" / "site"
pytestmark = pytest.mark.browser


@pytest.fixture
def visit(browser):
    """Open a page of the site, at the width of a desk or of a telephone."""
    if not (SITE / "index.html").is_file():
        pytest.fail(f"there is no site in {SITE}: make site")
    opened = []

    def go(page: str, width: int = 1400):
        context = browser.new_context(viewport={"width": width, "height": 900}, offline=True)
        opened.append(context)
        shown = context.new_page()
        shown.goto((SITE / page).as_uri())
        return shown

    yield go
    for context in opened:
        context.close()


def test_the_quiz_of_a_lesson_answers(visit):
    (lesson,) = (SITE / "notebooks").glob("01_*.html")
    quiz = load_quiz("01")
    page = visit(f"notebooks/{lesson.name}")
    for place, question in enumerate(quiz.questions):
        options = page.locator(".course-quiz > div").nth(place).locator("details")
        assert options.count() == len(question.options)
        for k in range(len(question.options)):
            reason = options.nth(k).locator("p")
            assert not reason.is_visible()
            options.nth(k).locator("summary").click()
            reason.wait_for(state="visible", timeout=5_000)
            assert reason.inner_text().startswith("Right." if k == question.answer else "No.")


@pytest.mark.parametrize("width", [1400, 390])
def test_no_page_is_wider_than_the_window(visit, width):
    """Wide tables and code scroll inside the page; the page itself does not."""
    for path in sorted(SITE.rglob("*.html")):
        page = visit(str(path.relative_to(SITE)), width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path.name
        page.context.close()


@pytest.mark.parametrize("width", [1400, 390])
def test_pictures_keep_their_shape_and_open_alone(visit, width):
    shapes = (
        """pictures => pictures.map(p => [p.width / p.height, p.naturalWidth / p.naturalHeight, p.closest("a").href])"""
    )
    for name in ("index.html", *(f"notebooks/{path.name}" for path in (SITE / "notebooks").glob("*.html"))):
        page = visit(name, width)
        page.wait_for_load_state("load")
        for shown, drawn, address in page.locator(".bd-article img[src*=_images]").evaluate_all(shapes):
            assert shown == pytest.approx(drawn, rel=0.03), (name, address)
            assert "_images" in address
        page.context.close()
