"""What nbval leaves out of its comparison: illustrations that torch computes, and nothing else."""

import re
from pathlib import Path

from nbval.plugin import get_sanitize_patterns

PATTERNS = get_sanitize_patterns((Path(__file__).parents[1] / "nbval_sanitize.cfg").read_text())


def sanitized(text: str) -> str:
    for regex, replace in PATTERNS:
        text = re.sub(regex, replace, text)
    return text


def test_only_the_illustration_of_today_is_left_out():
    before, after = "C8 rule      holds when\n             all do\n", "C8 full run  -0.120: undecided\n\nother 1.23\n"
    today = "C8 today     illustration, not a verdict: c8 = {}; best =\n             {}; 300 = {}\n"
    shown = [sanitized(before + today.format(*values) + after) for values in ((1, 2, 3), (-0.4, 5, 0.6))]
    assert shown[0] == shown[1] == before + "(today)" + after
    assert sanitized(today.format(1, 2, 3)) == "(today)"
    for kept in ("A6 today     illustration, not a verdict: a6 = 0\n", "C7 today     illustration: 0.1\n"):
        assert sanitized(kept) == kept
    assert sanitized("today, sublimation n = 25: -0.44\n") == "today, sublimation n = 25: -0.44\n"
