"""Labels of lines: an agent or algorithm, and what tells two lines of one name apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

MOST_SETTINGS = 3
"""A label names at most so many settings; beyond them the folder says more."""


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings on one level: ``{"a": {"b": 1}}`` -> ``{"a.b": 1}``."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found


def differing(alternatives: Iterable[Mapping[str, Any]]) -> list[str]:
    """The keys whose values are not the same in all of these, in the order of the first."""
    several = list(alternatives)
    keys = dict.fromkeys(key for one in several for key in one)
    return [key for key in keys if any(one.get(key) != several[0].get(key) for one in several)]


def label(name: str, settings: Mapping[str, Any], keys: Sequence[str], folder: str) -> str:
    """``lamer, gamma_traj 0.6``; ``lamer (folder)`` where too many settings differ."""
    if not keys:
        return name
    if len(keys) > MOST_SETTINGS:
        return f"{name} ({folder})"
    return ", ".join([name, *(f"{key} {shown(settings.get(key))}" for key in keys)])


def shown(value: object) -> str:
    """A setting in a few characters: lists joined, the last two parts of a path, short hashes."""
    if isinstance(value, list | tuple):
        return "+".join(map(shown, value))
    text = str(value)
    if "/" in text:
        return "/".join(text.rstrip("/").split("/")[-2:])
    is_hash = len(text) >= 32 and all(character in "0123456789abcdef" for character in text)
    return text[:8] if is_hash else text
