"""Backups: the whole board in one archive, and a new board from one."""

from __future__ import annotations

import contextlib
import io
import json
import os
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lamer_bench.errors import SettingError
from leaderboard.database import Database

_ROWS = "database.jsonl"
_FOLDERS = ("bundles", "runs", "sealed")


def backup(database: Database, folder: Path, out: Path) -> int:
    """Write database and files; returns the number of files. The archive appears whole or not at
    all. What is submitted meanwhile may be in it as a file only, which does no harm."""
    lines = [json.dumps([table, row]) for table, row in database.dump()]
    rows = "".join(f"{line}\n" for line in lines).encode()
    files = [
        path for name in _FOLDERS for path in sorted((folder / name).rglob("*")) if path.is_file()
    ]
    files = [path for path in files if not path.name.startswith("incoming-")]
    temporary = out.with_name(f"{out.name}.tmp")
    with tarfile.open(temporary, "w:gz") as archive:
        info = tarfile.TarInfo(_ROWS)
        info.size = len(rows)
        archive.addfile(info, io.BytesIO(rows))
        num_files = 0
        for path in files:
            with contextlib.suppress(FileNotFoundError):  # the board lives: it was removed by now
                archive.add(path, str(path.relative_to(folder)), recursive=False)
                num_files += 1
    os.replace(temporary, out)
    return num_files


def restore(archive: Path, database: Database, folder: Path) -> int:
    """Fill an empty board; returns the number of files.

    Raises:
        SettingError: the board is not empty, or the archive is no backup.
    """
    if any((folder / name).exists() and any((folder / name).iterdir()) for name in _FOLDERS):
        raise SettingError(f"{folder} is not empty; restore into a new folder.")
    try:
        with tarfile.open(archive, "r:gz") as stored:
            # all of it is looked through before anything is stored
            files = [m for m in stored.getmembers() if m.name.split("/")[0] in _FOLDERS]
            rows = stored.extractfile(_ROWS)
            if rows is None:
                raise KeyError(_ROWS)
            database.fill(_rows(rows.read()))
            stored.extractall(folder, files, filter="data")
    except (tarfile.TarError, zlib.error, EOFError, KeyError, ValueError, OSError) as error:
        raise SettingError(f"{archive} is no backup of a board: {error}.") from error
    return len(files)


def _rows(content: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    for line in content.decode().splitlines():
        table, row = json.loads(line)
        yield table, row
