"""Settings that are checked when they are made, so that an impossible value is one line and no
traceback hours later."""

from __future__ import annotations

import math

from lamer_bench.errors import SettingError


class Checked:
    """Base of dataclasses whose values must be in a range."""

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Raise `SettingError` for a value that cannot work."""

    def at_least(self, name: str, low: float) -> None:
        """Raise `SettingError` unless the setting is ``low`` or more."""
        value = getattr(self, name)
        if not (value >= low and math.isfinite(value)):
            raise SettingError(f"{name} is {value}; it must be {low:g} or more.")

    def above(self, name: str, low: float) -> None:
        """Raise `SettingError` unless the setting is more than ``low``."""
        value = getattr(self, name)
        if not (value > low and math.isfinite(value)):
            raise SettingError(f"{name} is {value}; it must be more than {low:g}.")

    def within(self, name: str, low: float, high: float) -> None:
        """Raise `SettingError` unless the setting is in [low, high]."""
        value = getattr(self, name)
        if not low <= value <= high:
            raise SettingError(f"{name} is {value}; it must be between {low:g} and {high:g}.")
