"""Labels, colours and markers; no text is cut off."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="matplotlib is in the [plots] extra")
pytest.importorskip("pandas", reason="pandas is in the [plots] extra")

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb

from lamer_bench import plots
from lamer_bench.plots import labels, sources, style
from tests.plots.figures import rising, run, training


def test_labels_name_what_differs_in_a_few_characters() -> None:
    settings = labels.flat(
        {"start": "/a/b/policy", "environments": ["x", "y"], "size": {"width": 8}}
    )
    keys = ["start", "environments", "size.width"]
    assert labels.label("ppo", settings, keys, "f") == (
        "ppo, start b/policy, environments x+y, size.width 8"
    )
    assert labels.label("ppo", settings, [*keys, "seed"], "folder") == "ppo (folder)"
    assert labels.label("ppo", settings, [], "folder") == "ppo"
    assert labels.shown("0123456789abcdef" * 4) == "01234567"


def test_a_listed_name_looks_the_same_in_every_company() -> None:
    names = [*style.LOOKS, "somebody", "somebody-else"]
    for company in (["somebody", "lamer", "ppo"], list(reversed(names)), ["lamer"]):
        chosen = style.looks((name, name) for name in company)
        assert chosen["lamer"] == style.LOOKS["lamer"]
        assert len({look.marker for look in chosen.values()}) == min(len(company), 13)


def test_lines_of_one_name_share_the_hue_and_no_look() -> None:
    lines = [("lamer", f"lamer {number}") for number in range(3)] + [("ppo", "ppo")]
    chosen = style.looks(lines)
    assert chosen["ppo"] == style.LOOKS["ppo"]
    assert len(set(chosen.values())) == 4
    assert chosen["lamer 1"].colour == style.shaded(style.LOOKS["lamer"].colour, -0.45)
    assert style.shaded("#000000", 0.5) == "#808080"
    assert style.shaded("#ffffff", -0.5) == "#808080"


COLOUR_VISION = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.01182, 0.04294, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.3039],
        ]
    ),
}
"""What a person sees of linear RGB; Machado, Oliveira and Fernandes (2009), severity 1."""


def cielab(colour: str, seen: np.ndarray) -> np.ndarray:
    """[3], L, a and b (D65) of a colour as it is seen."""
    channels = np.array(to_rgb(colour))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.072175],
            [0.0193339, 0.119192, 0.9503041],
        ]
    )
    xyz = to_xyz @ np.clip(seen @ linear, 0, 1) / [0.95047, 1.0, 1.08883]
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", COLOUR_VISION)
def test_the_colours_stay_apart_for_every_colour_vision(vision: str) -> None:
    seen = {name: cielab(look.colour, COLOUR_VISION[vision]) for name, look in style.LOOKS.items()}
    close = [
        (one, other)
        for one, other in itertools.combinations(seen, 2)
        if np.linalg.norm(seen[one] - seen[other]) < 15
    ]
    assert close == []


def test_no_two_listed_names_share_a_marker_and_none_is_too_pale() -> None:
    assert len({look.marker for look in style.LOOKS.values()}) == len(style.LOOKS)
    lightness = {name: cielab(look.colour, np.eye(3))[0] for name, look in style.LOOKS.items()}
    assert [name for name, light in lightness.items() if light > 75] == []


def long_named_trainings(folder: Path) -> list[sources.Training]:
    long = {"start": "policies/a-rather-long-name-of-a-policy-folder"}
    return [
        sources.read_training(training(folder / "a", rising(40), **long, gamma_traj=0.9)),
        sources.read_training(training(folder / "b", rising(40), **long, gamma_traj=0.6)),
        sources.read_training(training(folder / "c", rising(9), **long, gamma_traj=0.3, seed=1)),
        sources.read_training(training(folder / "d", rising(9), algorithm="gigpo")),
    ]


def long_named_runs(folder: Path) -> list[sources.Run]:
    name = "an-agent-of-a-name-longer-than-the-legend-is-wide"
    folders = [
        run(folder / "a"),
        run(folder / "b", name),
        run(folder / "c", environment="doors-hard"),
    ]
    return [sources.read_run(one) for one in folders]


@pytest.mark.parametrize("kind", plots.KINDS)
def test_no_text_is_cut_off_or_lies_on_another(tmp_path: Path, kind: str) -> None:
    kind_of = plots.KINDS[kind]
    make = long_named_trainings if kind_of.reads == "trainings" else long_named_runs
    with style.applied():
        drawing = kind_of.load()(make(tmp_path))
        assert drawing is not None
        figure = drawing.figure
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
    renderer = canvas.get_renderer()
    single = [text for legend in figure.legends for text in legend.get_texts()]
    single += [axes.title for axes in figure.axes if axes.get_title()]
    single += [text for text in figure.texts if text.get_text()]
    boxes = {text.get_text(): text.get_window_extent(renderer) for text in single}
    boxes |= {
        f"{axis.axis_name} of panel {index}": box  # with its tick labels
        for index, axes in enumerate(figure.axes)
        for axis in (axes.xaxis, axes.yaxis)
        if (box := axis.get_tightbbox(renderer)) is not None  # an inner one has no numbers
    }
    assert len(boxes) >= 3 + len(figure.axes)
    widths = [axes.get_window_extent(renderer).width / figure.dpi for axes in figure.axes]
    assert min(widths) > 2.2, "inches; the legend leaves the panels no room"
    inside = figure.bbox.padded(1)
    assert [name for name, box in boxes.items() if not inside.containsx(box.x0)] == []
    assert [name for name, box in boxes.items() if not inside.containsx(box.x1)] == []
    assert [name for name, box in boxes.items() if not inside.containsy(box.y0)] == []
    assert [name for name, box in boxes.items() if not inside.containsy(box.y1)] == []
    overlapping = [
        (one, other)
        for one, other in itertools.combinations(boxes, 2)
        if boxes[one].overlaps(boxes[other]) and one[1:] != other[1:]  # but for a panel's own axes
    ]
    assert overlapping == []
    assert isinstance(drawing.table, pd.DataFrame)
    assert not drawing.table.empty
