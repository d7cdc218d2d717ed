"""Renewing the pins keeps the file's order, comments and markers."""

from __future__ import annotations

from environment_rules import pins, read
from upgrade import renew

TEXT = """# A comment
# --- Imported directly: the package ---
numpy==2.4.6   # arrays
PyYAML==6.0.2  # parses files

# --- What these pull in ---
appnope==1.0.0 ; sys_platform == "darwin"
gone==1.0
zipp==3.0
"""


def test_renewed_pins_keep_order_comments_and_markers():
    text, changes = renew(TEXT, {"numpy": "2.10.0", "pyyaml": "6.0.2", "zipp": "4.1", "attrs": "26.1"})
    assert text == (
        "# A comment\n# --- Imported directly: the package ---\n"
        "numpy==2.10.0  # arrays\nPyYAML==6.0.2  # parses files\n"
        '\n# --- What these pull in ---\nappnope==1.0.0 ; sys_platform == "darwin"\nzipp==4.1\nattrs==26.1\n'
    )
    assert changes == [
        "numpy 2.4.6 -> 2.10.0",
        "gone 1.0 goes: nothing pulls it in",
        "zipp 3.0 -> 4.1",
        "attrs 26.1 is new",
    ]


def test_the_same_versions_change_nothing():
    text = read("requirements.txt")
    versions = {name: str(requirement.specifier)[2:] for name, requirement in pins(text).items()}
    assert renew(text, versions) == (text, [])
