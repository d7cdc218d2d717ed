"""A learner's own file: chosen in the browser, or named by its path."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


def upload(use: Callable[[Path], Any]) -> None:
    """Show a button that takes a file from the browser's computer and hands its path to a function.

    The file is kept in a temporary folder that goes when Python ends: what the function writes belongs elsewhere. What
    it prints or shows stands below the button; an error becomes one line.
    Without ipywidgets a sentence says to name the path instead.

    Parameters
    ----------
    use : callable
        Takes the path.
    """
    try:
        import ipywidgets
        from IPython.display import display
    except ImportError:
        print("(ipywidgets is not installed: give the path of your file in the cell above)")
        return
    folder = tempfile.TemporaryDirectory()
    button = ipywidgets.FileUpload(accept=".csv,.tsv,.txt,.xlsx,.gz", multiple=False)
    output = ipywidgets.Output()

    def changed(change: Any) -> None:
        for name, content in uploaded(change["new"]):
            path = Path(folder.name) / Path(name).name
            path.write_bytes(content)
            output.clear_output()
            with output:
                try:
                    use(path)
                except Exception as error:  # the file is the learner's: say what is wrong with it, in one line
                    print(f"{type(error).__name__}: {error}")

    button.observe(changed, names="value")
    display(ipywidgets.VBox([button, output]))


def uploaded(value: Any) -> list[tuple[str, bytes]]:
    """Names and contents in what FileUpload holds: a tuple in ipywidgets 8, a dictionary by name in 7."""
    if isinstance(value, dict):
        return [(name, bytes(entry["content"])) for name, entry in value.items()]
    return [(entry["name"], bytes(entry["content"])) for entry in value]
