"""Sliders over a pure plotting function, with a fallback that needs no widget."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from typing import Any


def interactive(function: Callable[..., Any], **controls: Any) -> None:
    """Show sliders and menus that redraw a plot.

    Parameters
    ----------
    function : callable
        Draws a figure. Each controlled parameter has a default, which is where its control starts. What it returns is
        ignored; what it prints is shown.
    **controls
        For each parameter ``(low, high)`` or ``(low, high, step)`` for a slider, a list of options for a menu, or a
        bool for a check box.

    Raises
    ------
    TypeError
        When a parameter does not exist, has no default, or its control is none of the above.
    ValueError
        When the default of a parameter is not among its control's values.

    Notes
    -----
    Without ipywidgets the function is called once, with its defaults. While notebooks are built
    (``COURSE_BUILD=1``) it is called with its defaults and with both ends of each control, because a widget would
    swallow an error there; the builder clears what that draws.
    """
    defaults = _defaults(function, controls)
    if os.environ.get("COURSE_BUILD") == "1":
        function(**defaults)
        for name, control in controls.items():
            for value in _ends(control):
                if value != defaults[name]:
                    function(**{**defaults, name: value})
        _close_figures()
        # Build the controls, but draw nothing into them: nbclient answers a widget's output on the very socket on which
        # it waits for the cell to end, and now and then misses that end until the cell's time is up.
        _widget(lambda **_: None, controls, defaults)
        return
    shown = _widget(function, controls, defaults)
    if shown is None:
        function(**defaults)
        print("(ipywidgets is not installed: this is the picture at the starting values)")
        return
    from IPython.display import display

    display(shown)


def _defaults(function: Callable[..., Any], controls: dict[str, Any]) -> dict[str, Any]:
    name = getattr(function, "__name__", str(type(function).__name__))
    parameters = inspect.signature(function).parameters
    defaults = {}
    for key, control in controls.items():
        if key not in parameters:
            raise TypeError(f"{name}() has no parameter {key!r}; it has: {', '.join(parameters)}")
        default = parameters[key].default
        if default is inspect.Parameter.empty:
            raise TypeError(f"parameter {key!r} of {name}() needs a default: it is where the control starts")
        if isinstance(control, bool):
            pass
        elif isinstance(control, tuple):
            if len(control) not in (2, 3) or not all(_number(x) for x in control):
                raise TypeError(f"control {key!r} must be (low, high) or (low, high, step), not {control!r}")
            if not control[0] <= default <= control[1]:
                raise ValueError(f"{name}() starts at {key}={default!r}, outside of its slider {control!r}")
        elif isinstance(control, (list, range)) and len(control):
            if default not in control:
                raise ValueError(f"{name}() starts at {key}={default!r}, which is not among {list(control)!r}")
        else:
            raise TypeError(f"control {key!r} must be a tuple, a list of options or a bool, not {control!r}")
        defaults[key] = default
    return defaults


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _ends(control: Any) -> Sequence[Any]:
    if isinstance(control, bool):
        return (False, True)
    if isinstance(control, tuple):
        return control[:2]
    return (control[0], control[-1])


def _widget(function: Callable[..., Any], controls: dict[str, Any], defaults: dict[str, Any]) -> Any:
    """Build the widget, or return None when ipywidgets is not there. Uses only what ipywidgets 7 and 8 both have."""
    try:
        import ipywidgets
    except ImportError:
        return None
    inputs: dict[str, Any] = {}
    style = {"description_width": "initial"}
    for key, control in controls.items():
        common = {"value": defaults[key], "description": key.replace("_", " "), "style": style}
        if isinstance(control, bool):
            inputs[key] = ipywidgets.Checkbox(**common)
        elif isinstance(control, tuple):
            whole = all(isinstance(x, int) for x in (*control, defaults[key]))
            kind = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
            step = {"step": control[2]} if len(control) == 3 else {}
            inputs[key] = kind(min=control[0], max=control[1], continuous_update=False, **step, **common)
        else:
            inputs[key] = ipywidgets.Dropdown(options=list(control), **common)

    def draw(**values: Any) -> None:
        function(**values)
        _show_figures()

    output = ipywidgets.interactive_output(draw, inputs)
    return ipywidgets.VBox([*inputs.values(), output])


def _show_figures() -> None:
    import sys

    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].show()


def _close_figures() -> None:
    import sys

    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
