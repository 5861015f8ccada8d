"""An honest run, for the tests of verification to leave alone or to tamper with."""

from __future__ import annotations

from pathlib import Path

import pytest

from lamer_bench.record import RunFolder, Settings, Trial
from tests.recorded import record_trials, settings_for, write_run
from tests.toys import Guesser


@pytest.fixture
def settings() -> Settings:
    return settings_for(tasks=4, repeats=2)


@pytest.fixture
def trials(settings: Settings) -> list[Trial]:
    return record_trials(settings, Guesser())


@pytest.fixture
def run(tmp_path: Path, settings: Settings, trials: list[Trial]) -> RunFolder:
    return write_run(tmp_path / "run", settings, trials)
