"""What the second process is asked to do in test_read_table.py."""

from __future__ import annotations

import os
import time

from course_lib.molecules import MoleculeError


def slow(text):
    time.sleep(60 if text == "hang" else 0)
    return text.upper()


def crash(text):
    if text == "crash":
        os._exit(139)
    raise MoleculeError(text, "not to our taste")
