"""Small pictures as SVG in the page: pass@k curves, and an interval in a table's cell.

Shapes carry classes, not colours, so that the style sheet draws them for light and for dark. Every
picture says in its title what it shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from leaderboard.ranking import Value

_WIDTH, _HEIGHT = 460, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 150, 12, 34
MOST_CURVES = 6


@dataclass(frozen=True)
class Curve:
    """pass@1..k of one entry."""

    name: str
    values: Sequence[Value | None]
    is_control: bool = False
    """Drawn dashed."""


def pass_curves(curves: Sequence[Curve], label: str) -> Markup:
    """Curves over k = 1..K with bands, names at their ends; at most `MOST_CURVES` colours."""
    most = max((len(curve.values) for curve in curves), default=0)
    if not most:
        return Markup("")
    parts = [
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
        f"<title>{escape(label)}</title>",
    ]
    for share in (0, 25, 50, 75, 100):
        y = _y(share / 100)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(
            f'<text class="tick" x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{share}</text>'
        )
    for k in range(1, most + 1):
        x = _x(k, most)
        parts.append(
            f'<text class="tick" x="{x}" y="{_HEIGHT - 12}" text-anchor="middle">pass@{k}</text>'
        )
    ends: list[tuple[float, int, str]] = []
    for number, curve in enumerate(curves):
        colour = number % MOST_CURVES
        points = [(_x(k, most), v) for k, v in enumerate(curve.values, start=1) if v is not None]
        if not points:
            continue
        parts.append(_band(points, colour))
        line = " ".join(f"{x},{_y(value.value)}" for x, value in points)
        dashed = " dashed" if curve.is_control else ""
        parts.append(f'<polyline class="curve c{colour}{dashed}" points="{line}"/>')
        parts += [
            f'<circle class="dot c{colour}" cx="{x}" cy="{_y(v.value)}" r="3"/>' for x, v in points
        ]
        ends.append((_y(points[-1][1].value), colour, curve.name))
    for y, colour, name in _spread(ends):
        short = escape(name if len(name) <= 22 else f"{name[:21]}…")
        x = _WIDTH - _RIGHT + 8
        parts.append(f'<text class="name c{colour}" x="{x}" y="{y + 4}">{short}</text>')
    return Markup("".join([*parts, "</svg>"]))


def interval(value: Value | None) -> Markup:
    """A mean and its interval on a line from 0 to 100 %, for a table's cell."""
    if value is None:
        return Markup("")
    low = value.value if value.low is None else value.low
    high = value.value if value.high is None else value.high
    left, middle, right = (
        round(100 * max(0.0, min(1.0, one)), 1) for one in (low, value.value, high)
    )
    return Markup(
        '<svg class="interval" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="rail" x="0" y="3.5" width="100" height="1"/>'
        '<rect class="range" x="{}" y="2" width="{}" height="4"/>'
        '<rect class="mean" x="{}" y="0" width="1.6" height="8"/></svg>'
    ).format(left, max(0.4, round(right - left, 1)), max(0.0, round(middle - 0.8, 1)))


def _band(points: Sequence[tuple[float, Value]], colour: int) -> str:
    known = [(x, v) for x, v in points if v.low is not None and v.high is not None]
    if len(known) < 2:
        return ""
    upper = [f"{x},{_y(v.high or 0.0)}" for x, v in known]
    lower = [f"{x},{_y(v.low or 0.0)}" for x, v in reversed(known)]
    return f'<polygon class="band c{colour}" points="{" ".join([*upper, *lower])}"/>'


def _spread(ends: Sequence[tuple[float, int, str]]) -> list[tuple[float, int, str]]:
    """Names at the curves' ends, moved apart so that none covers another."""
    placed: list[tuple[float, int, str]] = []
    for y, colour, name in sorted(ends):
        at = max(y, placed[-1][0] + 14) if placed else y
        placed.append((at, colour, name))
    below = max(0.0, placed[-1][0] - (_HEIGHT - _BOTTOM)) if placed else 0.0
    return [(round(y - below, 1), colour, name) for y, colour, name in placed]


def _x(k: int, most: int) -> float:
    width = _WIDTH - _LEFT - _RIGHT
    return round(_LEFT + (width * (k - 1) / (most - 1) if most > 1 else width / 2), 1)


def _y(share: float) -> float:
    return round(_TOP + (1 - share) * (_HEIGHT - _TOP - _BOTTOM), 1)
