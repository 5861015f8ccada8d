"""Names -> classes, without importing them: catalogue lines, entry points, ``module:Class``.

The core never imports `environments` or `baselines`; it learns their names from the two catalogue
modules below, which hold strings only, and imports a class when it is first asked for.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Iterator
from importlib.metadata import entry_points
from typing import Any

from lamer_bench.errors import UnknownNameError


class Registry:
    """One kind of plug-in: built-in catalogue, entry points, ``module:Class`` references."""

    def __init__(self, kind: str, catalogue: str, group: str) -> None:
        self.kind = kind
        """What the messages call an entry: ``environment``, ``agent``."""
        self._catalogue = catalogue
        self._group = group
        self._targets: dict[str, str] = {}
        self._is_filled = False

    def register(self, name: str, target: str) -> None:
        """Let ``name`` stand for ``module:Class``; the catalogue modules call this."""
        self._targets[name] = target

    def _fill(self) -> dict[str, str]:
        if not self._is_filled:
            self._is_filled = True
            importlib.import_module(self._catalogue)
            for point in entry_points(group=self._group):
                self._targets.setdefault(point.name, point.value)
        return self._targets

    def __iter__(self) -> Iterator[str]:
        return iter(self._fill())

    def __contains__(self, name: str) -> bool:
        return name in self._fill() or ":" in name

    def check(self, name: str, known: Iterable[str] | None = None) -> None:
        """Raise `UnknownNameError` with the nearest name unless ``name`` is known."""
        names = list(self._fill() if known is None else known)
        if name not in names:
            raise UnknownNameError(unknown(self.kind, name, names))

    def load(self, name: str) -> Any:
        """Import what ``name`` (or ``module:Class``) stands for; one clear line when that fails."""
        target = name if ":" in name else self._fill().get(name)
        if target is None:
            self.check(name)
            raise AssertionError("unreachable")
        module, _, attribute = target.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except UnknownNameError:
            raise
        except (Exception, SystemExit) as error:
            raise UnknownNameError(
                f"The {self.kind} {name!r} cannot be loaded from {target!r}: "
                f"{type(error).__name__}: {error}"
            ) from error


def unknown(kind: str, name: str, names: Iterable[str]) -> str:
    """``No agent is called 'randm'. Did you mean 'random'?``"""
    names = list(names)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    advice = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(sorted(names))}."
    return f"No {kind} is called {name!r}. {advice}"


ENVIRONMENTS = Registry("environment", "environments.catalogue", "lamer_bench.environments")
AGENTS = Registry("agent", "baselines.catalogue", "lamer_bench.agents")
