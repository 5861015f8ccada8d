"""Bundles that somebody has tampered with: each is rejected with its own reason, and leaves nothing
behind but a line in the audit log."""

from __future__ import annotations

import io
import json
import shutil
import stat
import struct
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import leaderboard.judge
from lamer_bench.errors import RecordError
from lamer_bench.record import MANIFEST_FILE, TRIALS_FILE, RunFolder
from lamer_bench.scores import score_run
from leaderboard import bundles
from leaderboard.bundles import AGENT_FILE, pack
from leaderboard.judge import judge
from tests.leaderboard.conftest import CARD, ENVIRONMENT, Lab
from tests.verify.tampering import tamper, tamper_settings
from tests.verify.test_tampered_trials import (
    test_a_tampered_trial_is_refused_where_it_was_tampered_with as changes_of_trials,
)

Members = list[tuple[zipfile.ZipInfo | str, bytes]]
TRIALS = f"{ENVIRONMENT}/{TRIALS_FILE}"
MANIFEST = f"{ENVIRONMENT}/{MANIFEST_FILE}"
CHANGES = [change for change, _ in changes_of_trials.pytestmark[0].args[1]]


# The runs ----------------------------------------------------------------------------------------


@pytest.fixture
def copied(played: Callable[..., RunFolder], tmp_path: Path) -> RunFolder:
    """A run with reflections that may be spoiled."""
    original = played("tests.toys:Guesser", memory="both")
    shutil.copytree(original.path, tmp_path / "run")
    return RunFolder(tmp_path / "run")


def judged(run: RunFolder, tmp_path: Path) -> str:
    """The reason against a run; empty when it is verified."""
    pack([run], CARD, tmp_path / "bundle.zip")
    (tmp_path / "out").mkdir()
    return str(judge(tmp_path / "bundle.zip", tmp_path / "out").get("reason", ""))


def test_what_nobody_touched_passes(copied: RunFolder, tmp_path: Path) -> None:
    assert judged(copied, tmp_path) == ""


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_tampered_trial_is_rejected(change: Any, copied: RunFolder, tmp_path: Path) -> None:
    tamper(copied, change)
    reason = judged(copied, tmp_path)
    assert reason.startswith(f"{ENVIRONMENT}: ")
    assert ": expected " in reason
    assert "\n" not in reason


def set_limit(settings: dict[str, Any]) -> None:
    settings["limits"]["turns"] += 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (set_limit, "limit turns: expected"),
        (lambda s: s["limits"].update(trial_seconds=1e9), "limit trial_seconds: expected"),
        (lambda s: s["suite"].update(digest="0" * 64), "suite: expected"),
        (lambda s: s["suite"].update(version=1), "this board takes lamer version"),
        (lambda s: s.update(suite=None), "it belongs to no suite"),
        (lambda s: s.update(environment="minesweeper-hard"), "on another environment"),
        (lambda s: s.update(environment_version=1), "environment version: expected"),
        (lambda s: s.update(environment_options={"data": "/etc"}), "without options"),
        (lambda s: s.update(tasks=99), "it has 99 tasks"),
        (lambda s: s.update(tasks=10**9), "at most"),
        (lambda s: s.update(episodes=9), "its trials have 9 episodes"),
        (lambda s: s.update(is_ranked=False), "told hidden state"),
        (lambda s: s.update(split="train"), "it is on the split train"),
        (lambda s: s.update(agent="x" * 10, extra=1), "damaged: settings.extra"),
        (lambda s: s.pop("seed"), "damaged: settings.seed"),
        (lambda s: s["suite"].update(name="a\x00b\x1b[2J"), "suite a?b?[2J version 2"),
        (lambda s: s["suite"].update(name="a\ud800b"), "manifest.json is damaged"),
        (lambda s: s.update(agent="a\ud800b"), "manifest.json is damaged"),
    ],
)
def test_tampered_settings_are_rejected(
    change: Any, reason: str, copied: RunFolder, tmp_path: Path
) -> None:
    tamper_settings(copied, lambda manifest: change(manifest["settings"]))
    # the folder in a bundle is named after the environment it was sent for
    members = {AGENT_FILE: CARD.model_dump_json().encode()}
    members |= {
        MANIFEST: copied.manifest_path.read_bytes(),
        TRIALS: copied.trials_path.read_bytes(),
    }
    with zipfile.ZipFile(tmp_path / "bundle.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    (tmp_path / "out").mkdir()
    found = judge(tmp_path / "bundle.zip", tmp_path / "out")
    assert not found["ok"]
    assert reason in found["reason"]
    assert found["reason"].isprintable()
    assert str(tmp_path) not in found["reason"]


# The archive -------------------------------------------------------------------------------------


def archive(members: Members, how: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as file:
        for name, content in members:
            file.writestr(name, content)
    return out.getvalue()


def with_(members: Members, name: str, content: bytes) -> Members:
    """The members with one replaced."""
    return [(n, content if n == name else c) for n, c in members]


def card(**changes: Any) -> bytes:
    return json.dumps(CARD.model_dump() | changes).encode()


def special(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def declared(members: Members, size: int) -> bytes:
    """The last member's size in the directory is another one."""
    content = bytearray(archive(members))
    place = content.rindex(b"PK\x01\x02")
    struct.pack_into("<I", content, place + 24, size)
    return bytes(content)


def declared_in_zip64(members: Members, size: int) -> bytes:
    """The same for a size that takes 64 bits, which stand in a field of their own."""
    name, content = members[-1]
    assert isinstance(name, str)
    last = zipfile.ZipInfo(name)
    last.extra = struct.pack("<HHQ", 0x9999, 8, size)
    packed = bytearray(archive([*members[:-1], (last, content)]))
    place = packed.rindex(b"PK\x01\x02")
    struct.pack_into("<I", packed, place + 24, 2**32 - 1)
    struct.pack_into("<H", packed, place + 46 + len(name), 1)
    return bytes(packed)


def encrypted(members: Members) -> bytes:
    content = bytearray(archive(members))
    place = content.rindex(b"PK\x01\x02")
    content[place + 8] |= 1
    return bytes(content)


def spoilt(members: Members) -> bytes:
    """A byte of compressed content is another one."""
    content = bytearray(archive(members))
    place = content.index(TRIALS.encode()) + len(TRIALS) + 200
    content[place] ^= 0xFF
    return bytes(content)


DEEP = b'{"a":' * 40 + b"1" + b"}" * 40
SPREAD = b"[\n" * 40 + b"]\n" * 40
LINE = b'{"a": "' + b"x" * (4 * 2**20) + b'"}\n'
NOT_ONLY = "only agent.json"
ARCHIVES: dict[str, tuple[Callable[[Members], bytes], str]] = {
    "no zip": (lambda m: b"not a zip file", "no readable zip"),
    "empty": (lambda m: archive([]), "has no agent.json"),
    "cut off": (lambda m: archive(m)[:-200], "no readable zip"),
    "spoilt": (spoilt, "zip file"),
    "upwards": (lambda m: archive([*m, ("../../etc/passwd", b"x")]), NOT_ONLY),
    "upwards in a run": (lambda m: archive([*m, (f"../{MANIFEST}", b"x")]), NOT_ONLY),
    "absolute": (lambda m: archive([*m, ("/etc/passwd", b"x")]), NOT_ONLY),
    "backslashes": (lambda m: archive([*m, ("..\\..\\boot.ini", b"x")]), NOT_ONLY),
    "folder": (lambda m: archive([*m, ("minesweeper-easy/", b"")]), NOT_ONLY),
    "another file": (lambda m: archive([*m, (f"{ENVIRONMENT}/run.py", b"x")]), NOT_ONLY),
    "control characters": (lambda m: archive([*m, ("\x1b[31mred", b"x")]), r"'\x1b[31mred'"),
    "markup": (lambda m: archive([*m, ("<script>", b"x")]), NOT_ONLY),
    "link": (
        lambda m: archive([*m[:2], (special(TRIALS, stat.S_IFLNK | 0o777), b"/etc/passwd")]),
        "links are not followed",
    ),
    "device": (
        lambda m: archive([*m[:2], (special(TRIALS, stat.S_IFCHR | 0o666), b"")]),
        "is no plain file",
    ),
    "encrypted": (encrypted, "is encrypted"),
    "bzip2": (lambda m: archive(m, zipfile.ZIP_BZIP2), "not compressed by deflate"),
    "lzma": (lambda m: archive(m, zipfile.ZIP_LZMA), "not compressed by deflate"),
    "bomb": (lambda m: archive(with_(m, TRIALS, b"\n" * 50_000_000)), "times its size"),
    "4 GB declared": (lambda m: declared(m, 2**32 - 2), "at most 1073741824"),
    "10 GB declared": (lambda m: declared_in_zip64(m, 10 * 2**30), "has 10737"),
    "less declared": (lambda m: declared(m, 10), "zip"),
    "other letters": (lambda m: archive([*m, (MANIFEST.upper(), b"{}")]), NOT_ONLY),
    "many members": (
        lambda m: archive([*m, *[(f"e{n}/{TRIALS_FILE}", b"") for n in range(200)]]),
        "203 members",
    ),
    "no trials": (lambda m: archive(m[:2]), f"has no {TRIALS_FILE}"),
    "no manifest": (lambda m: archive([m[0], m[2]]), f"has no {MANIFEST_FILE}"),
    "no run": (lambda m: archive(m[:1]), "has no run"),
    "no card": (lambda m: archive(m[1:]), f"has no {AGENT_FILE}"),
    "not UTF-8": (lambda m: archive(with_(m, TRIALS, b'{"a": "\xff\xfe"}\n')), "not UTF-8"),
    "huge number": (lambda m: archive(with_(m, TRIALS, b"9" * 5000 + b"\n")), "over 400 digits"),
    "deep": (lambda m: archive(with_(m, TRIALS, DEEP)), "nested over 24 deep"),
    "deep over lines": (lambda m: archive(with_(m, MANIFEST, SPREAD)), "nested over 24 deep"),
    "long line": (lambda m: archive(with_(m, TRIALS, LINE), 0), "has a line of over"),
    "long manifest": (lambda m: archive(with_(m, MANIFEST, b" " * 2**21), 0), "at most 1048576"),
    "card: no JSON": (lambda m: archive(with_(m, AGENT_FILE, b"{")), "agent.json is no JSON"),
    "card: no object": (
        lambda m: archive(with_(m, AGENT_FILE, b"[]")),
        "agent.json: Input should be",
    ),
    "card: unknown": (lambda m: archive(with_(m, AGENT_FILE, card(score=1))), "'score'"),
    "card: markup": (
        lambda m: archive(with_(m, AGENT_FILE, card(name="<script>alert(1)</script>"))),
        "angle brackets",
    ),
    "card: escapes": (
        lambda m: archive(with_(m, AGENT_FILE, card(base_model="\x1b[2J"))),
        "control characters",
    ),
    "card: direction": (
        lambda m: archive(with_(m, AGENT_FILE, card(name="a\u202eb"))),
        "control characters",
    ),
    "card: script link": (
        lambda m: archive(with_(m, AGENT_FILE, card(link="javascript:alert(1)"))),
        "'link'",
    ),
    "card: long": (lambda m: archive(with_(m, AGENT_FILE, card(name="x" * 500))), "120 characters"),
    "card: kind": (lambda m: archive(with_(m, AGENT_FILE, card(kind="magic"))), "'kind'"),
}


@pytest.fixture
def members(played: Callable[..., RunFolder]) -> Members:
    """Of an honest bundle: card, manifest, trials."""
    run = played()
    return [
        (AGENT_FILE, CARD.model_dump_json().encode()),
        (MANIFEST, run.manifest_path.read_bytes()),
        (TRIALS, run.trials_path.read_bytes()),
    ]


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_tampered_archive_is_refused_at_the_door(name: str, lab: Lab, members: Members) -> None:
    make, reason = ARCHIVES[name]
    answer = lab.send(make(members))
    found = answer.get_json()
    assert (answer.status_code, found["state"]) == (422, "rejected")
    assert reason in found["reason"]
    assert found["reason"].isprintable()
    assert [line.action for line in lab.database.audit()] == ["rejected"]
    assert lab.database.entries(("pending", "verified", "rejected")) == []
    assert not list((lab.config.folder / "bundles").iterdir())
    assert lab.client.get("/").status_code == 200
    assert lab.client.get("/audit").status_code == 200


def test_two_members_of_one_name_are_refused(lab: Lab, members: Members) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        content = archive([*members, members[-1]])
    assert "twice" in lab.send(content).get_json()["reason"]


@pytest.mark.parametrize(
    "manifest",
    [b"[" * 100_000, b'{"schema_version": ' + b"9" * 5000 + b"}"],
    ids=["deep", "long number"],
)
def test_a_manifest_of_any_kind_has_one_line(manifest: bytes, copied: RunFolder) -> None:
    copied.manifest_path.write_bytes(manifest)
    with pytest.raises(RecordError) as caught:
        copied.manifest()
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("field", "value"),
    [("prompt_tokens", 10**399), ("answer_tokens", 2**31), ("seconds", 1e308)],
    ids=["prompt", "answer", "seconds"],
)
def test_no_claim_is_too_large_to_be_added_up(
    field: str, value: float, copied: RunFolder, tmp_path: Path
) -> None:
    def change(trials: list[dict[str, Any]]) -> None:
        for trial in trials:
            claims = trial if field == "seconds" else trial["episodes"][0]["turns"][0]
            claims[field] = value

    tamper(copied, change, redigest=False)
    assert field in judged(copied, tmp_path)
    with pytest.raises(RecordError, match=field):
        score_run(copied)


def test_a_bundle_over_the_limit_is_not_even_read(lab: Lab) -> None:
    lab.app.config["MAX_CONTENT_LENGTH"] = 1000
    assert lab.send(b"x" * 2000).status_code == 413
    assert not list((lab.config.folder / "bundles").iterdir())


def test_the_judge_stops_at_its_limits(lab: Lab, members: Members) -> None:
    slow = replace(lab, config=replace(lab.config, judge_seconds=0, lease_seconds=0.3))
    assert slow.submit(archive(members))["reason"] == "The replay took more than 0 s."
    small = replace(lab, config=replace(lab.config, judge_bytes=40 * 2**20))
    other = with_(members, AGENT_FILE, card(name="Another"))
    assert "more memory than the board allows" in small.submit(archive(other))["reason"]


def test_a_fault_of_the_judge_is_told_as_what_it_is(
    lab: Lab, members: Members, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("of the board")

    monkeypatch.setattr(leaderboard.judge, "unpack", broken)
    (tmp_path / "bundle.zip").write_bytes(archive(members))
    found = judge(tmp_path / "bundle.zip", tmp_path / "out")
    assert found["reason"].startswith("The replay broke off with ZeroDivisionError")
    assert found["is_of_board"]


@given(st.text(alphabet='[]{}"\\a,:', max_size=30))
@example('{"a": ["[", "]"], "b": "\\"["}')
def test_the_depth_is_that_of_a_plain_reading(text: str) -> None:
    deepest = now = 0
    is_string = is_escaped = False
    outside = []
    for sign in text:
        if is_string:
            is_string = is_escaped or sign != '"'
            is_escaped = sign == "\\" and not is_escaped
        elif sign == '"':
            is_string = True
        else:
            outside.append(sign)
    for sign in outside:
        now += (sign in "[{") - (sign in "]}")
        deepest = max(deepest, now)
    assert bundles._depth(text.encode()) == deepest


def test_a_string_without_an_end_takes_no_longer_than_another() -> None:
    line = b"[" * 25 + b'"' + b'\\"' * 2_000_000
    started = time.perf_counter()
    assert bundles._depth(line) == 25
    assert time.perf_counter() - started < 120  # tried from each of its quotes it takes days


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (
            lambda m: archive([*m, *[(f"e{n}/{TRIALS_FILE}", b"") for n in range(2000)]]),
            "'s directory has 1",
        ),
        (lambda m: archive(m) + b"x", "end with a plain directory"),
        (lambda m: archive(m)[:-2] + b"\1\0x", "end with a plain directory"),
        (lambda m: in_64_bits(archive(m)), "end with a plain directory"),
        (lambda m: archive(with_(m, TRIALS, b"\n" * 500_001), 0), "more than 500000 trials"),
    ],
)
def test_what_takes_long_to_read_is_refused_before_it_is_read(
    make: Any, reason: str, members: Members, tmp_path: Path
) -> None:
    (tmp_path / "bundle.zip").write_bytes(make(members))
    with pytest.raises(bundles.BundleError, match=reason):
        bundles.unpack(tmp_path / "bundle.zip")


def in_64_bits(content: bytes) -> bytes:
    """The same with a directory of 64 bits, whose sizes are believed before the others."""
    end = content[-22:]
    count, length, start = struct.unpack("<HII", end[10:20])
    size = start + length
    wide = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, count, count, length, start)
    return content[:-22] + wide + struct.pack("<4sIQI", b"PK\6\7", 0, size, 1) + end
