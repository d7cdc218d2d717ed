"""Work on texts from outside in a second process: one that hangs or crashes costs its own row and nothing else.

RDKit and Mordred run in compiled code that no signal interrupts, so a time limit needs a process that can be ended. It
is started when first needed, answers one line of JSON with another, and is started again after it had to be ended.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from importlib import import_module
from multiprocessing.pool import ThreadPool
from pathlib import Path
from queue import Empty, Queue
from typing import Any

__all__ = ["each"]

_START = 60.0  # seconds that a process may take to import what it needs
_IDLE: dict[str, list[_Worker]] = {}  # by function, kept while Python runs; a worker ends when its input does


class _Worker:
    """A Python process that holds one function."""

    def __init__(self, function: str) -> None:
        paths = [str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "course_lib.isolated", function],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
        )
        self.lines: Queue[str] = Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        if self._answer(_START) != "ready":
            self.end()
            raise RuntimeError(f"the process for {function} does not start")

    def _listen(self) -> None:
        for line in self.process.stdout:
            self.lines.put(line.strip())
        self.lines.put("")  # the process has ended

    def _answer(self, seconds: float) -> str | None:
        try:
            return self.lines.get(timeout=seconds)
        except Empty:
            return None

    def ask(self, text: str, seconds: float) -> tuple[Any, str | None]:
        """Return (value, None) or (None, reason); after a reason that ended the process, `alive` is False."""
        try:
            self.process.stdin.write(json.dumps(text) + "\n")
            self.process.stdin.flush()
            answer = self._answer(seconds)
        except OSError:
            answer = ""
        if answer:
            return tuple(json.loads(answer))
        self.end()
        return None, f"no answer within {seconds:g} s" if answer is None else "it crashes the chemistry software"

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()


def each(
    function: str, texts: Iterable[str], seconds: float = 10.0, n_workers: int = 1
) -> Iterator[tuple[Any, str | None]]:
    """Apply a function to each text in a second process, or in several.

    Parameters
    ----------
    function : str
        ``"package.module:name"``; takes a text and returns what JSON can hold.
    texts : iterable of str
    seconds : float
        For one text. One that takes longer is given up.
    n_workers : int
        Processes that share the texts.

    Yields
    ------
    (value, reason)
        In the order of the texts: the value and None, or None and why there is none: the function's error, a time
        limit, a crash.

    Raises
    ------
    RuntimeError
        When a process does not start.
    """

    def answer(text: str) -> tuple[Any, str | None]:
        try:
            worker = idle.pop()  # one step for other threads, as is append
        except IndexError:
            worker = _Worker(function)
        found = worker.ask(text, seconds)
        if worker.alive:
            idle.append(worker)
        return found

    idle = _IDLE.setdefault(function, [])
    with ThreadPool(n_workers) as threads:  # each waits for a process
        yield from threads.imap(answer, texts)


def _serve(function: str) -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not be taken for an answer
    module, name = function.split(":")
    call = getattr(import_module(module), name)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        try:
            answer = call(json.loads(line)), None
        except Exception as error:  # its reason is the answer
            answer = None, getattr(error, "reason", None) or f"{type(error).__name__}: {error}"
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    _serve(sys.argv[1])
