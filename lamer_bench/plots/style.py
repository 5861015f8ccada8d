"""How figures look: one colour and one marker for a name wherever it appears, and how they are
saved.

The colours begin with Okabe and Ito's and stay apart for every kind of colour vision (a test
computes it); markers tell lines apart in grey. A name that is not listed gets what its hash says,
or the next that is free.
"""

from __future__ import annotations

import hashlib
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

FORMATS = ("svg", "pdf", "png")
MOST_COLUMNS = 3
PANEL_INCHES = (3.3, 2.9)
LONE_PANEL_INCHES = (4.6, 3.2)
CAPTION_CHARACTERS_PER_INCH = 15.5  # at its size of 8 points
LEGEND_CHARACTERS = 30  # in a line of the legend
LEGEND_CHARACTERS_PER_INCH = 12.0
PNG_DOTS_PER_INCH = 150

RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.titley": 1.0,  # where it is anyway, without a look at every tick in each drawing
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "lines.linewidth": 1.8,
    "lines.markersize": 6,
    "svg.fonttype": "none",  # text stays text: it can be searched and read aloud
    "svg.hashsalt": "lamer-bench",  # the same figure is the same file
    "pdf.fonttype": 42,
}


@dataclass(frozen=True, slots=True)
class Look:
    """How a line is drawn everywhere."""

    colour: str
    marker: str


LOOKS = {
    "lamer": Look("#D55E00", "o"),
    "gigpo": Look("#0072B2", "s"),
    "grpo": Look("#56B4E9", "^"),
    "rloo": Look("#009E73", "D"),
    "ppo": Look("#C76BA0", "v"),
    "zero-shot": Look("#E69F00", "X"),
    "react": Look("#664422", "P"),
    "reflexion": Look("#882255", "*"),
    "supervised": Look("#8822DD", "<"),
    "explorer": Look("#332288", ">"),
    "random": Look("#B4B4B4", "d"),
    "oracle": Look("#000000", "p"),
    "human": Look("#EE1155", "h"),
}
"""Name of an agent or algorithm -> its look."""
SHADES = (0.0, -0.45, 0.45)
"""Towards black (-1) or white (1): the first, second and third line of one name, and so on."""


HATCHES = ("", "//", "..", "\\\\", "xx", "--", "++", "||", "oo", "///", "**", "\\\\\\", "OO")
"""Of bars, in the order of `LOOKS`."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure and the numbers in it."""

    figure: Figure
    table: pd.DataFrame
    """One row for each point, in plain words and full precision."""


def looks(lines: Iterable[tuple[str, str]]) -> dict[str, Look]:
    """(name, label) of each line -> the label's look.

    The first label of a listed name always gets the look of `LOOKS`. Further labels of a name keep
    its hue; markers repeat only when all are used.
    """
    labels: dict[str, list[str]] = {}
    for name, label in dict.fromkeys(lines):
        labels.setdefault(name, []).append(label)
    chosen = {own[0]: LOOKS[name] for name, own in labels.items() if name in LOOKS}
    for name, own in labels.items():
        if name not in LOOKS:
            start = hashlib.sha256(name.encode()).digest()[0]
            chosen[own[0]] = _first_free(start, chosen.values())
    for own in labels.values():
        first = chosen[own[0]]
        start = [look.marker for look in LOOKS.values()].index(first.marker)
        for number, label in enumerate(own[1:], start=1):
            colour = shaded(first.colour, SHADES[number % len(SHADES)])
            chosen[label] = Look(colour, _first_free(start, chosen.values()).marker)
    return chosen


def _first_free(start: int, taken: Iterable[Look]) -> Look:
    """The first look from place ``start`` on, round the list, whose marker nobody has."""
    listed = list(LOOKS.values())
    used = {look.marker for look in taken}
    turned = [listed[(start + step) % len(listed)] for step in range(len(listed))]
    return next((look for look in turned if look.marker not in used), turned[0])


def shaded(colour: str, share: float) -> str:
    """The colour mixed with a share of white, or of black where the share is negative."""
    end = 1.0 if share > 0 else 0.0
    red, green, blue = (part + (end - part) * abs(share) for part in to_rgb(colour))
    return to_hex((red, green, blue))


# Layout ------------------------------------------------------------------------------------------


@contextmanager
def applied() -> Iterator[None]:
    """Figures that are made and saved inside have our style."""
    with rc_context(RC):
        yield


def panels(
    count: int, labels: Sequence[str], share: Literal["none", "y", "both"] = "none"
) -> tuple[Figure, list[Axes]]:
    """A figure with so many panels, at most `MOST_COLUMNS` in a row, and room for a legend with
    these labels at its right. Axes that are shared have their numbers at the outside only, and the
    limits that they are given: to look for them anew with each line takes a while.
    """
    columns = min(count, MOST_COLUMNS)
    rows = -(-count // columns)
    width, height = LONE_PANEL_INCHES if count == 1 else PANEL_INCHES
    figure = wide_figure(columns * width, rows * height + 0.5, labels)
    axes: list[Axes] = []
    for index in range(count):
        first = axes[0] if axes else None
        axes.append(
            figure.add_subplot(
                rows,
                columns,
                index + 1,
                sharex=first if share == "both" else None,
                sharey=None if share == "none" else first,
            )
        )
        axes[-1].set_autoscale_on(share == "none")
        is_lowest = index + columns >= count
        axes[-1].tick_params(
            labelleft=share == "none" or index % columns == 0,
            labelbottom=share != "both" or is_lowest,
        )
    return figure, axes


def wide_figure(width: float, height: float, labels: Sequence[str]) -> Figure:
    """A figure whose panels have ``width`` inches together, beside a legend with these labels."""
    longest = max((len(line) for label in labels for line in wrapped(label).split("\n")), default=0)
    legend_width = 0.9 + longest / LEGEND_CHARACTERS_PER_INCH
    return Figure(figsize=(width + legend_width, height), layout="constrained")


def hatch(look: Look) -> str:
    """The pattern of a look's bars, which tells them apart in grey."""
    markers = [listed.marker for listed in LOOKS.values()]
    return HATCHES[markers.index(look.marker) % len(HATCHES)]


def band_alpha(alpha: float, count: int) -> float:
    """How opaque a band is where ``count`` lines share a panel: many bands together must not hide
    the lines."""
    return alpha * min(1.0, 4 / max(1, count))


def name_axes(axes: Sequence[Axes], x: str, y: str) -> None:
    """Name the axes of panels of one meaning: x below the lowest of a column, y at the left."""
    columns = min(len(axes), MOST_COLUMNS)
    for index, one in enumerate(axes):
        if index + columns >= len(axes):
            one.set_xlabel(x)
        if index % columns == 0:
            one.set_ylabel(y)


def add_legend(figure: Figure, handles: Sequence[Artist]) -> None:
    """The legend, outside at the right."""
    for handle in handles:
        handle.set_label(wrapped(str(handle.get_label())))
    figure.legend(handles=list(handles), loc="outside right upper", fontsize=9)


def add_caption(figure: Figure, text: str) -> None:
    """What the lines, bands and bars are, below the panels."""
    width = int(figure.get_size_inches()[0] * CAPTION_CHARACTERS_PER_INCH)
    lines = "\n".join(textwrap.wrap(text, width))
    figure.supxlabel(lines, x=0.01, ha="left", fontsize=8, color="#444444")


def handle(label: str, look: Look, linestyle: Literal["-", "none"] = "-") -> Line2D:
    """A line of the legend."""
    return Line2D([], [], color=look.colour, marker=look.marker, linestyle=linestyle, label=label)


def wrapped(label: str) -> str:
    """A label in lines that fit the legend, broken after commas where that is enough."""
    parts = [
        part.replace(" ", "\N{NO-BREAK SPACE}") if len(part) < LEGEND_CHARACTERS else part
        for part in label.split(", ")
    ]
    filled = textwrap.fill(", ".join(parts), LEGEND_CHARACTERS)
    return filled.replace("\N{NO-BREAK SPACE}", " ")


def slug(*words: object) -> str:
    """Words as an id in an SVG: ``band-lamer-pass-at-1``."""
    return re.sub(r"[^A-Za-z0-9]+", "-", " ".join(map(str, words))).strip("-")


# Files -------------------------------------------------------------------------------------------


def save(drawing: Drawing, out: Path, name: str) -> list[Path]:
    """Write the figure in all `FORMATS` and its table as CSV; returns the paths. The same drawing
    gives the same bytes, so that a figure in a repository changes with its numbers only."""
    out.mkdir(parents=True, exist_ok=True)
    figure = drawing.figure
    paths = [out / f"{name}.{suffix}" for suffix in (*FORMATS, "csv")]
    _lay_out(figure)
    # the canvases themselves: `savefig` draws every figure twice where it has a layout engine
    svg: Any = FigureCanvasSVG(figure)
    svg.print_svg(paths[0], metadata={"Date": None, "Title": name})
    pdf: Any = FigureCanvasPdf(figure)
    pdf.print_pdf(paths[1], metadata={"CreationDate": None, "Title": name})
    figure.dpi = PNG_DOTS_PER_INCH
    png: Any = FigureCanvasAgg(figure)
    png.print_png(paths[2], metadata={"Title": name}, pil_kwargs={"compress_level": 1})
    drawing.table.to_csv(paths[-1], index=False, lineterminator="\n")
    return paths


def _lay_out(figure: Figure) -> None:
    """Lay the panels out once, not for each format again. What lies inside a panel needs no room
    of its own."""
    for panel in figure.axes:
        for inside in (*panel.lines, *panel.collections, *panel.patches):
            inside.set_in_layout(False)
    for text in figure.findobj(Text):
        if "f" in text.get_text() and hasattr(text, "set_fontfeatures"):
            text.set_fontfeatures(("-liga",))  # for "fi" as one glyph a PDF holds the font twice
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")
    for panel in figure.axes:
        for axis in (panel.xaxis, panel.yaxis):
            _keep_label_in_place(axis, panel)


def _keep_label_in_place(axis: Axis, panel: Axes) -> None:
    """Spare each drawing the search for a place beside the tick labels."""
    if axis.label.get_text():
        panel.apply_aspect()  # a square panel is not yet where it will be drawn
        axis.get_tightbbox()  # puts the label where it belongs
        label = axis.label
        place = label.get_transform().transform(label.get_position())
        axis.set_label_coords(*panel.transAxes.inverted().transform(place))
