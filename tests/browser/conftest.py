"""Chromium, which the browser tests share."""

from __future__ import annotations

import os
import shutil
from importlib import import_module

import pytest

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="package")
def browser():
    """Start Chromium. Whoever runs these tests asked for them, so a missing browser is a failure, not a skip."""
    if CHROMIUM is None:
        pytest.fail("no Chromium: on Debian, apt install chromium; or set CHROMIUM to its path")
    playwright = import_module("playwright.sync_api")  # make test-browser installs it
    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield chromium
        chromium.close()
