"""One look for the pictures of all notebooks: colours that the colour-blind tell apart, text for the back row.

The colours are those of Okabe and Ito (2008). A scheme has the same colour and mark in every picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axis import Axis

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, RED, PURPLE, GRAY = "#0072B2", "#D55E00", "#CC79A7", "#7F7F7F"

SCHEMES = {
    "randomized_midpoint": {"color": BLUE, "marker": "o", "label": "randomized midpoint"},
    "exponential_integrator": {"color": ORANGE, "marker": "s", "label": "exponential integrator"},
    "midpoint": {"color": RED, "marker": "D", "label": "midpoint"},
    "heun": {"color": GREEN, "marker": "^", "label": "Heun"},
    "euler": {"color": PURPLE, "marker": "v", "label": "Euler"},
    "parallel_midpoint": {"color": SKY, "marker": "P", "label": "parallel midpoint"},
}
"""By the name of a scheme: what `plot` is handed, as in ``axis.loglog(x, y, **SCHEMES["heun"])``."""

plt.rcParams.update(
    {
        "axes.grid": True,
        "axes.labelsize": 14,
        "axes.prop_cycle": plt.cycler(color=[BLUE, ORANGE, GREEN, RED, SKY, PURPLE, BLACK]),
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlesize": 14,
        "axes.titleweight": "bold",
        "figure.constrained_layout.use": True,
        "figure.dpi": 110,
        "figure.figsize": (7.5, 4.8),
        "font.size": 13,
        "grid.alpha": 0.3,
        "legend.fontsize": 12,
        "lines.linewidth": 2,
        "lines.markersize": 7,
    }
)


def ticks(axis: Axis, values: Sequence[Any]) -> None:
    """Label these values of an axis, such as `axes.xaxis`, and no others."""
    axis.set_ticks(values, [f"{value:g}" for value in values])
    axis.set_ticks([], minor=True)


def sliders(draw: Callable[..., None], **choices: tuple[Any, ...]) -> None:
    """Let the reader choose the arguments of `draw` with sliders, where ipywidgets is installed (``pip install
    ipywidgets``); elsewhere say so in a line. Each argument has the values to choose from.
    """
    try:
        from ipywidgets import SelectionSlider, interact
    except ImportError:
        print("With ipywidgets this picture has sliders for", ", ".join(choices))
        return
    interact(draw, **{name: SelectionSlider(options=values, description=name) for name, values in choices.items()})
