"""Training curves: metrics of the log over the steps, seeds of one training as one line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from lamer_bench.errors import SettingError
from lamer_bench.plots import labels, style
from lamer_bench.plots.sources import Training
from lamer_bench.plots.style import Drawing, Look

AXES = {
    "entropy": "entropy (nats per token)",
    "kl": "KL divergence (nats per token)",
    "invalid_rate": "invalid answers (share)",
    "clip_share": "clipped tokens (share)",
    "rollout_share": "rollout (share of the time)",
    "rollout_seconds": "rollout (s)",
    "update_seconds": "update (s)",
    "tokens_per_second": "speed (tokens per second)",
}
"""Metric -> its axis with the unit; success is a share of trials, others have their name."""
LEAST_WINDOW = 5
MARKERS_ON_A_LINE = 6


@dataclass(frozen=True, slots=True)
class Group:
    """Trainings that differ by their seed only: one line."""

    name: str
    label: str
    trainings: Sequence[Training]


def success(trainings: Sequence[Training]) -> Drawing | None:
    """Success within 1, 2, ... attempts, a panel each."""
    names = {name for training in trainings for name in training.metrics}
    passes = sorted((name for name in names if name.startswith("pass_at_")), key=_attempts)
    return _draw(trainings, passes, share_y=True)


def entropy(trainings: Sequence[Training]) -> Drawing | None:
    """Entropy of the policy."""
    return _draw(trainings, ["entropy"])


def kl(trainings: Sequence[Training]) -> Drawing | None:
    """How far an update moves the policy from the one that rolled out."""
    return _draw(trainings, ["kl"])


def metrics(trainings: Sequence[Training]) -> Drawing | None:
    """All metrics, a panel each, every one with its own axis."""
    names = dict.fromkeys(name for training in trainings for name in training.metrics)
    return _draw(trainings, list(names))


def _attempts(name: str) -> int:
    digits = name.removeprefix("pass_at_")
    return int(digits) if digits.isdigit() else 0


def group(trainings: Sequence[Training]) -> list[Group]:
    """Trainings of one algorithm and equal settings together, in the order of their first.

    Raises:
        SettingError: two trainings agree in everything, the seed included.
    """
    alike: list[list[Training]] = []
    for training in trainings:
        for others in alike:
            if _is_alike(training, others[0]):
                others.append(training)
                break
        else:
            alike.append([training])
    for others in alike:
        _refuse_twins(others)
    return [Group(one[0].algorithm, _label(one, alike), one) for one in alike]


def _is_alike(one: Training, other: Training) -> bool:
    """A training that does not say its settings is like no other."""
    return one.algorithm == other.algorithm and one.settings == other.settings != {}


def _refuse_twins(trainings: Sequence[Training]) -> None:
    by_seed: dict[int | None, Training] = {}
    for training in trainings:
        twin = by_seed.setdefault(training.seed, training)
        if twin is not training:
            raise SettingError(
                f"{twin.folder} and {training.folder} are the same training with the same seed, "
                f"{training.seed}. Give one of them."
            )


def _label(own: Sequence[Training], alike: Sequence[Sequence[Training]]) -> str:
    first = own[0]
    same_name = [others[0] for others in alike if others[0].algorithm == first.algorithm]
    keys = labels.differing(labels.flat(one.settings) for one in same_name)
    folder = first.folder.resolve().name
    if len(same_name) > 1 and not keys:
        return f"{first.algorithm} ({first.folder})"
    text = labels.label(first.algorithm, labels.flat(first.settings), keys, folder)
    return f"{text}, {len(own)} seeds" if len(own) > 1 else text


def window(trainings: Sequence[Training]) -> int:
    """Steps that a smoothed value is the mean of: an odd number, about a twentieth of the longest
    training and at least `LEAST_WINDOW`."""
    return (
        max(LEAST_WINDOW, max(len(training.metrics) for training in trainings) // 20) // 2 * 2 + 1
    )


def curve(trainings: Sequence[Training], metric: str, width: int) -> pd.DataFrame | None:
    """One line: [steps] with the columns value (mean over seeds), smoothed (its centred mean over
    ``width`` steps), low and high (lowest and highest smoothed seed, NaN for one seed), seeds.

    It ends where the shortest of the seeds ends. None where a seed has no such metric.
    """
    if any(metric not in training.metrics for training in trainings):
        return None
    raw = pd.concat([one.metrics[metric] for one in trainings], axis=1, join="inner")
    smoothed = raw.rolling(width, center=True, min_periods=1).mean()
    line = pd.DataFrame({"value": raw.mean(axis=1), "smoothed": smoothed.mean(axis=1)})
    has_band = len(trainings) > 1
    line["low"] = smoothed.min(axis=1) if has_band else float("nan")
    line["high"] = smoothed.max(axis=1) if has_band else float("nan")
    line["seeds"] = len(trainings)
    return line.rename_axis("step").reset_index()


def _table(groups: Sequence[Group], names: Sequence[str], width: int) -> pd.DataFrame | None:
    parts = []
    for one in groups:
        for metric in names:
            line = curve(one.trainings, metric, width)
            if line is not None and line["value"].notna().any():
                line.insert(0, "metric", metric)
                line.insert(0, "algorithm", one.name)
                line.insert(0, "label", one.label)
                parts.append(line)
    return pd.concat(parts, ignore_index=True) if parts else None


def _draw(
    trainings: Sequence[Training], names: Sequence[str], *, share_y: bool = False
) -> Drawing | None:
    """A panel for each metric; None when no training has one of them."""
    groups = group(trainings)
    width = window(trainings)
    table = _table(groups, names, width)
    if table is None:
        return None
    drawn = list(dict.fromkeys(table["metric"]))
    drawn.sort(key=list(names).index)
    shown = list(dict.fromkeys(table["label"]))
    chosen = style.looks((one.name, one.label) for one in groups if one.label in shown)
    figure, axes = style.panels(len(drawn), shown)
    for metric, panel in zip(drawn, axes, strict=True):
        for number, label in enumerate(shown):
            line = table[(table["metric"] == metric) & (table["label"] == label)]
            if line.empty:
                continue
            marks = _marks(len(line), number / len(shown))
            _draw_line(panel, line, chosen[label], marks, style.slug(label, metric))
        panel.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        panel.set_title(_title(metric))
    if share_y:
        top = max(panel.get_ylim()[1] for panel in axes)
        for panel in axes:
            panel.set_ylim(0.0, min(1.0, top))
    style.name_axes(axes, "training step", _axis(drawn[0]) if share_y else "")
    if not share_y:
        for metric, panel in zip(drawn, axes, strict=True):
            panel.set_ylabel(_axis(metric))
    style.add_legend(figure, [style.handle(label, chosen[label]) for label in shown])
    style.add_caption(figure, _caption(groups, width))
    return Drawing(figure, table)


def _marks(length: int, offset: float) -> tuple[int, int]:
    """Where a line's markers begin and how many steps lie between them: each line has them at
    other steps (``offset``, in [0, 1), of the distance), so that they do not hide each other."""
    every = max(1, length // MARKERS_ON_A_LINE)
    return min(int(offset * every), length - 1), every


def _draw_line(
    panel: Axes, line: pd.DataFrame, look: Look, marks: tuple[int, int], name: str
) -> None:
    """Smoothed over raw over the band of the seeds."""
    steps = line["step"]
    if line["low"].notna().any():
        band = panel.fill_between(
            steps, line["low"], line["high"], color=look.colour, alpha=0.2, linewidth=0
        )
        band.set_gid(f"band-{name}")
    panel.plot(steps, line["value"], color=look.colour, alpha=0.3, linewidth=0.8, gid=f"raw-{name}")
    panel.plot(
        steps,
        line["smoothed"],
        color=look.colour,
        marker=look.marker,
        markevery=marks,
        gid=f"line-{name}",
    )


def _title(metric: str) -> str:
    """Only success has one: its panels share an axis."""
    if not metric.startswith("pass_at_"):
        return ""
    attempts = _attempts(metric)
    return f"pass@{attempts}: within {attempts} attempt{'s' if attempts > 1 else ''}"


def _axis(metric: str) -> str:
    if metric.startswith("pass_at_"):
        return "trials won (share)"
    return AXES.get(metric, metric.replace("_", " "))


def _caption(groups: Sequence[Group], width: int) -> str:
    text = f"Lines: centred mean over {width} steps; faint: every step."
    if any(len(one.trainings) > 1 for one in groups):
        text += " With several seeds their mean, and a band from the lowest to the highest seed."
    return text
