"""From a table of molecules and values to a page that a colleague can read: ``report(path)``, ``predict(model, path)``.

On the command line: ``python -m course_lib report FILE --target COLUMN``.
"""

from __future__ import annotations

from course_lib._lazy import attach

_HOME = {
    "CVPlus": "intervals",
    "Report": "run",
    "Study": "findings",
    "choose_split": "splitting",
    "predict": "saving",
    "report": "run",
    "study": "findings",
}
__getattr__, __dir__, __all__ = attach(__name__, _HOME)
