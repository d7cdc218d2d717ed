"""What several files of tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Let torch compute on one thread while the tests of a file run."""
    from course_lib.models import network  # here, so that files without networks do not load torch

    with network.one_thread():
        yield
