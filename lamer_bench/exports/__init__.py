"""Exports: a run in the formats of others.

* ``atif``: Harbor's Agent Trajectory Interchange Format, a JSON document for each trial (`atif`);
* ``eee``: Every Eval Ever, one JSON of the scores and a JSON line for each trial (`eee`);
* ``parquet`` and ``csv``: `lamer_bench.tables` as files, one each for trials, episodes and turns.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

from lamer_bench.env import TextEnv
from lamer_bench.errors import LamerBenchError, MissingExtraError, UnknownNameError
from lamer_bench.exports import atif, eee
from lamer_bench.record import RunFolder, Settings, slug
from lamer_bench.registry import unknown
from lamer_bench.replay import open_world
from lamer_bench.tables import Per, load_runs


def export(
    run: RunFolder | str | Path,
    to: str,
    out: str | Path | None = None,
    *,
    allow_imports: bool = False,
) -> list[Path]:
    """Write a run in a format of `FORMATS`; returns the files.

    Args:
        run: a run folder.
        to: ``atif``, ``eee``, ``parquet`` or ``csv``.
        out: a folder; ``exports/<environment>-<name of the run folder>-<format>`` unless said.
        allow_imports: also replay an environment that is given as ``module:Class-level``.

    Raises:
        UnknownNameError: no such format.
        RecordError: the run folder is damaged.
        MissingExtraError: pandas or pyarrow is not installed.
    """
    if to not in FORMATS:
        raise UnknownNameError(unknown("format", to, FORMATS))
    folder = run if isinstance(run, RunFolder) else RunFolder(run)
    settings = folder.manifest().settings
    path = Path(out) if out is not None else default_folder(folder, settings, to)
    path.mkdir(parents=True, exist_ok=True)
    env = _world(settings, allow_imports)
    return list(FORMATS[to](folder, env, path))


def default_folder(folder: RunFolder, settings: Settings, to: str) -> Path:
    """Where an export is written unless another place is named."""
    words = f"{settings.environment}-{folder.path.resolve().name}-{to}"
    return Path("exports", slug(words))


def _world(settings: Settings, allow_imports: bool) -> TextEnv | None:
    try:
        return open_world(settings, allow_imports=allow_imports)
    except LamerBenchError:
        return None  # the formats say for themselves that texts are missing


def _atif(folder: RunFolder, env: TextEnv | None, out: Path) -> Iterator[Path]:
    manifest = folder.manifest()
    for trial in folder.trials():
        document = atif.trajectory(manifest, trial, env)
        path = out / f"{slug(trial.task)}-{trial.kind}-{trial.repeat}.json"
        _write_json(path, document)
        yield path


def _eee(folder: RunFolder, env: TextEnv | None, out: Path) -> Iterator[Path]:
    rows = out / "instances.jsonl"
    with rows.open("w", encoding="utf-8", newline="\n") as file:
        for row in eee.instances(folder, env):
            file.write(json.dumps(row) + "\n")  # ASCII: some readers split lines at U+2028, too
    path = out / "evaluation.json"
    _write_json(path, eee.evaluation(folder, rows))
    yield from (path, rows)


def _write_json(path: Path, document: Any) -> None:
    text = json.dumps(document, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def _csv(folder: RunFolder, env: TextEnv | None, out: Path) -> Iterator[Path]:
    for per in get_args(Per):
        path = out / f"{per}s.csv"
        load_runs(folder.path, per).to_csv(path, index=False, lineterminator="\n")
        yield path


def _parquet(folder: RunFolder, env: TextEnv | None, out: Path) -> Iterator[Path]:
    for per in get_args(Per):
        path = out / f"{per}s.parquet"
        try:
            load_runs(folder.path, per).to_parquet(path, engine="pyarrow", index=False)
        except ImportError as error:
            raise MissingExtraError(
                'Parquet needs pyarrow. Install it: pip install "lamer-bench[export]"'
            ) from error
        yield path


Writer = Callable[[RunFolder, TextEnv | None, Path], Iterator[Path]]
FORMATS: dict[str, Writer] = {"atif": _atif, "eee": _eee, "parquet": _parquet, "csv": _csv}
