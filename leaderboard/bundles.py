"""Bundles: one agent's runs in a zip file, packed by the sender, unpacked by the board.

A bundle holds ``agent.json``, what its sender declares, and for each run
``<environment>/manifest.json`` and ``<environment>/trials.jsonl``; nothing else. Its digest covers
names and contents, so that packing the same runs again, at any compression, gives the same one.
Whatever a stranger sends is read within limits: nothing is written before every declared size has
been seen to be true.
"""

from __future__ import annotations

import hashlib
import json
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from lamer_bench.errors import LamerBenchError, SettingError
from lamer_bench.record import MANIFEST_FILE, TRIALS_FILE, RunFolder

AGENT_FILE = "agent.json"
MOST_BYTES = 64 * 2**20
"""Of a bundle as it is sent."""
MOST_UNPACKED_BYTES = 2**30
MOST_RUNS = 64
MOST_LINE_BYTES = 4 * 2**20
"""Of a line of ``trials.jsonl``: one trial."""
MOST_JSON_BYTES = 2**20
"""Of ``agent.json`` and of a manifest."""
MOST_RATIO = 200
"""Unpacked to packed bytes of a member; trial lines reach about 25."""
MOST_DEPTH = 24
"""Of nested lists and objects in a line."""
MOST_DIGITS = 400
MOST_TRIALS = 500_000
"""Lines of all ``trials.jsonl`` together."""
MOST_DIRECTORY_BYTES = 2**16
"""Of the zip file's directory, which is parsed before its members can be counted."""
_MEMBER = re.compile(
    rf"[A-Za-z0-9_-]{{1,64}}/({re.escape(MANIFEST_FILE)}|{re.escape(TRIALS_FILE)})"
)
_NO_STRUCTURE = bytes(set(range(256)) - set(b'[]{}"\\'))
_DIGITS_TO_0 = bytes(48 if byte in b"0123456789" else 32 for byte in range(256))
_LONG_NUMBER = b"0" * (MOST_DIGITS + 1)
_TIME = (1980, 1, 1, 0, 0, 0)
_BLOCK = 2**18
_END = struct.Struct("<4s8xI4xH")
"""What closes a zip file: a signature, the bytes of its directory, those of a comment."""
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)
"""A string, or one that never ends: were that no match, each of its quotes would be tried again."""


def _plain(text: str) -> str:
    """For pydantic: no markup, and nothing that a terminal or a page would act upon."""
    if not text.isprintable() or set(text) & set("<>"):
        raise ValueError("control characters and angle brackets have no place here")
    return text


Text = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=120), AfterValidator(_plain)
]


class BundleError(LamerBenchError):
    """A bundle that is refused; one line says why."""


class AgentCard(BaseModel):
    """What the sender declares of an agent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    name: Annotated[Text, Field(min_length=1)]
    """As it shall stand on the board."""
    kind: Literal["prompting", "trained", "scripted", "human"]
    base_model: Text = ""
    """Empty for players without a language model."""
    trained_on_suite: bool
    """Whether it saw the suite's train split in training."""
    open_weights: bool | None = None
    """None for players without weights."""
    link: Annotated[str, StringConstraints(max_length=200, pattern=r"^(https://[^\s\"'<>]+)?$")] = (
        ""
    )
    """A page about it; https only."""


# Packing -----------------------------------------------------------------------------------------


def pack(runs: Iterable[RunFolder], card: AgentCard, out: Path) -> str:
    """Write a bundle; returns its digest.

    Raises:
        SettingError: no run, or two of the same environment.
        RecordError: a run folder is damaged.
    """
    members = {AGENT_FILE: card.model_dump_json().encode()}
    for run in runs:
        environment = run.manifest().settings.environment
        if f"{environment}/{MANIFEST_FILE}" in members:
            raise SettingError(f"Two runs are on {environment}; a bundle has one of each.")
        members[f"{environment}/{MANIFEST_FILE}"] = run.manifest_path.read_bytes()
        members[f"{environment}/{TRIALS_FILE}"] = run.trials_path.read_bytes()
    if len(members) == 1:
        raise SettingError("A bundle needs at least one run folder.")
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, _TIME)
            info.external_attr = 0o644 << 16
            archive.writestr(info, members[name], zipfile.ZIP_DEFLATED)
    return digest_of({name: hashlib.sha256(content) for name, content in members.items()})


def digest_of(members: Mapping[str, Any]) -> str:
    """SHA-256 over the members' names and hashes (``hashlib`` objects), in order of their names."""
    whole = hashlib.sha256()
    for name in sorted(members):
        whole.update(f"{name}\0{members[name].hexdigest()}\n".encode())
    return whole.hexdigest()


# Unpacking ---------------------------------------------------------------------------------------


def unpack(bundle: Path, folder: Path | None = None) -> tuple[AgentCard, str, list[str]]:
    """Check a bundle and write its members into ``folder``, if one is given.

    Returns:
        The agent's card, the digest, and the environments in order of their names.

    Raises:
        BundleError: anything is not as it should be; what was written stays behind, so give a
            folder that can be thrown away.
    """
    _check_directory(bundle)
    try:
        with zipfile.ZipFile(bundle) as archive:
            infos = _members(archive, bundle.stat().st_size)
            hashes: dict[str, Any] = {}
            card = None
            num_trials = 0
            for info in infos:
                hashes[info.filename] = hashlib.sha256()
                content = b""
                for piece in _pieces(archive, info):
                    hashes[info.filename].update(piece)
                    num_trials += info.filename.endswith(TRIALS_FILE)
                    if num_trials > MOST_TRIALS:
                        raise BundleError(f"The bundle has more than {MOST_TRIALS} trials.")
                    if info.filename == AGENT_FILE:
                        content += piece
                    elif folder is not None:
                        _append(folder / info.filename, piece)
                if info.filename == AGENT_FILE:
                    card = _card(content)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, ValueError) as error:
        raise BundleError(f"The bundle is no readable zip file: {error}.") from error
    except (RuntimeError, OverflowError) as error:
        raise BundleError(f"The bundle cannot be unpacked: {error}.") from error
    assert card is not None  # _members has seen to it
    environments = sorted({name.split("/")[0] for name in hashes if "/" in name})
    return card, digest_of(hashes), environments


def _check_directory(bundle: Path) -> None:
    """A short directory at the end of the file, without a comment and without 64-bit fields, which
    no bundle within the limits needs."""
    with bundle.open("rb") as file:
        start = max(0, bundle.stat().st_size - _END.size - 20)
        file.seek(start)
        end = file.read()
    last = end[-_END.size :].rjust(_END.size)
    signature, size, comment = _END.unpack(last)
    if signature != b"PK\5\6" or comment or end[: -_END.size].startswith(b"PK\6\7"):
        raise BundleError(
            "The bundle is no readable zip file: it does not end with a plain directory (without "
            "a comment and without 64-bit fields)."
        )
    if size > MOST_DIRECTORY_BYTES:
        raise BundleError(
            f"The bundle's directory has {size} bytes; at most {MOST_DIRECTORY_BYTES}."
        )


def _members(archive: zipfile.ZipFile, packed: int) -> list[zipfile.ZipInfo]:
    """All members, if their names, kinds, numbers and declared sizes are within the limits."""
    infos = archive.infolist()
    if len(infos) > 2 * MOST_RUNS + 1:
        raise BundleError(f"The bundle has {len(infos)} members; at most {2 * MOST_RUNS + 1}.")
    total = sum(info.file_size for info in infos)
    if total > MOST_UNPACKED_BYTES:
        raise BundleError(f"Unpacked, the bundle has {total} bytes; at most {MOST_UNPACKED_BYTES}.")
    seen: set[str] = set()
    for info in infos:
        name = info.filename
        if name != AGENT_FILE and not _MEMBER.fullmatch(name):
            raise BundleError(
                f"The bundle holds {short(name)}; only {AGENT_FILE}, <environment>/{MANIFEST_FILE} "
                f"and <environment>/{TRIALS_FILE} belong in it."
            )
        if name.lower() in seen:
            raise BundleError(f"The bundle holds {short(name)} twice.")
        seen.add(name.lower())
        _check_kind(info)
    if sum(info.compress_size for info in infos) > packed:
        raise BundleError("Members of the bundle overlap.")
    _check_pairs({info.filename for info in infos})
    return infos


def _check_kind(info: zipfile.ZipInfo) -> None:
    mode = info.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise BundleError(f"{short(info.filename)} is no plain file; links are not followed.")
    if info.flag_bits & 1:
        raise BundleError(f"{short(info.filename)} is encrypted.")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise BundleError(f"{short(info.filename)} is not compressed by deflate.")
    if not info.filename.endswith(TRIALS_FILE) and info.file_size > MOST_JSON_BYTES:
        raise BundleError(
            f"{short(info.filename)} has {info.file_size} bytes; at most {MOST_JSON_BYTES}."
        )
    if info.file_size > MOST_RATIO * max(info.compress_size, 1) + _BLOCK:
        raise BundleError(
            f"{short(info.filename)} unpacks to more than {MOST_RATIO} times its size."
        )


def _check_pairs(names: set[str]) -> None:
    if AGENT_FILE not in names:
        raise BundleError(f"The bundle has no {AGENT_FILE}.")
    environments = {name.split("/")[0] for name in names if "/" in name}
    if not environments:
        raise BundleError("The bundle has no run.")
    for environment in sorted(environments):
        for file in (MANIFEST_FILE, TRIALS_FILE):
            if f"{environment}/{file}" not in names:
                raise BundleError(f"The run on {environment} has no {file}.")


def _pieces(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """The member's content, trials line by line, each piece within the limits."""
    name, total = info.filename, 0
    with archive.open(info) as file:
        read = file.readline if name.endswith(TRIALS_FILE) else file.read
        while piece := read(MOST_LINE_BYTES + 1):
            total += len(piece)
            if len(piece) > MOST_LINE_BYTES:
                raise BundleError(f"{short(name)} has a line of over {MOST_LINE_BYTES} bytes.")
            _check_piece(piece, name)
            yield piece
    if total != info.file_size:
        raise BundleError(f"{short(name)} is not as long as it declares.")


def _check_piece(line: bytes, name: str) -> None:
    """What could hurt a JSON parser is refused before one sees it."""
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BundleError(f"{short(name)} is not UTF-8: {error.reason}.") from error
    if _LONG_NUMBER in line.translate(_DIGITS_TO_0):
        raise BundleError(f"{short(name)} holds a number of over {MOST_DIGITS} digits.")
    if max(line.count(b"["), line.count(b"{")) > MOST_DEPTH and _depth(line) > MOST_DEPTH:
        raise BundleError(f"{short(name)} is nested over {MOST_DEPTH} deep.")


def _depth(line: bytes) -> int:
    """The deepest nesting of brackets outside of strings."""
    kept = line.translate(None, _NO_STRUCTURE).replace(b'""', b"")  # most strings are gone by now
    if b"\\" in kept or b'"' in kept:
        kept = _STRING.sub(b"", line)
    deepest = now = 0
    for sign in kept:
        if sign in b"[{":
            now += 1
            deepest = max(deepest, now)
        elif sign in b"]}":
            now -= 1
    return deepest


def _card(content: bytes) -> AgentCard:
    try:
        return AgentCard.model_validate(json.loads(content))
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = f"{short('.'.join(map(str, fault['loc'])))}: " if fault["loc"] else ""
        raise BundleError(f"{AGENT_FILE}: {place}{fault['msg']}.") from error
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{AGENT_FILE} is no JSON: {error}.") from error


def _append(path: Path, piece: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(piece)


def short(text: str, most: int = 60) -> str:
    """A stranger's text within a message: quoted, without control characters, cut off."""
    return repr(text if len(text) <= most else f"{text[:most]}...")
