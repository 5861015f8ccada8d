"""From a bundle to a verdict: what is stored, what is not, and who may do what."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lamer_bench.errors import SettingError
from lamer_bench.record import RunFolder
from lamer_bench.scores import score_run
from leaderboard.backups import backup, restore
from leaderboard.board import present_suite
from leaderboard.bundles import pack, unpack
from leaderboard.database import Database
from leaderboard.worker import clean
from tests.leaderboard.conftest import CARD, ENVIRONMENT, Lab, make_lab

Bundle = Callable[..., Path]
RESULT = {"scores": {}, "tasks": {}, "num_turns": 1}


def test_a_submission_is_replayed_and_its_scores_are_computed_here(
    lab: Lab, bundle: Bundle, played: Callable[..., RunFolder]
) -> None:
    verdict = lab.submit(bundle())
    assert (verdict["state"], verdict["reason"]) == ("verified", "")
    entry = lab.client.get(f"/api/v1/entries/{verdict['entry']}").get_json()
    expected = json.loads(json.dumps(score_run(played()).as_json()))
    del expected["run_dir"]
    assert entry["results"][ENVIRONMENT]["scores"] == expected
    assert [line.action for line in lab.database.audit()] == ["verified", "submitted"]


def test_the_same_runs_are_one_entry_however_they_are_packed(
    lab: Lab, bundle: Bundle, played: Callable[..., RunFolder], tmp_path: Path
) -> None:
    first = lab.submit(bundle())
    again = tmp_path / "again.zip"
    digest = pack([played()], CARD, again)
    assert unpack(again)[1] == digest == first["digest"]
    assert lab.send(again).get_json() == first
    assert len(lab.database.entries()) == 1
    assert [line.action for line in lab.database.audit()] == ["verified", "submitted"]


def test_a_rejected_bundle_leaves_its_reason_and_nothing_else(
    lab: Lab, played: Callable[..., RunFolder], tmp_path: Path
) -> None:
    out = tmp_path / "few.zip"
    pack([played(tasks=20)], CARD, out)
    verdict = lab.submit(out)
    assert verdict["state"] == "rejected"
    assert verdict["reason"] == f"{ENVIRONMENT}: it has 20 tasks; the board takes 100 or more."
    assert not list((lab.config.folder / "bundles").iterdir())
    assert not list((lab.config.folder / "scratch").iterdir())
    assert not (lab.config.folder / "runs").exists()
    assert lab.database.entries() == []


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"split": "val"}, "it is on the split val; the board takes test"),
        ({"episodes": 2, "control_episodes": 2}, "its trials have 2 episodes"),
        ({"control_episodes": 0}, "it has 0 control episodes"),
        ({"agent": "oracle"}, "its player is told hidden state"),
        ({"environment": "tests.toys:Doors-easy"}, "belong in it"),
        ({"environment": "webshop-easy", "environment_options": {"size": "large"}}, "no suite"),
    ],
)
def test_what_cannot_be_ranked_is_said_so(
    settings: dict[str, Any],
    reason: str,
    lab: Lab,
    played: Callable[..., RunFolder],
    tmp_path: Path,
) -> None:
    given = dict(settings)
    options = given.pop("environment_options", None)
    agent, environment = given.pop("agent", "random"), given.pop("environment", ENVIRONMENT)
    if options:
        from lamer_bench.runner import run

        made = run(agent, environment, environment_options=options, out=tmp_path / "run")
    else:
        made = played(agent, environment, **given)
    pack([made], CARD, tmp_path / "one.zip")
    verdict = lab.submit(tmp_path / "one.zip")
    assert verdict["state"] == "rejected"
    assert reason in verdict["reason"]


def test_what_was_rejected_is_judged_anew_when_it_is_sent_again(
    lab: Lab, played: Callable[..., RunFolder], tmp_path: Path
) -> None:
    out = tmp_path / "few.zip"
    pack([played(tasks=20)], CARD, out)
    first = lab.submit(out)
    assert lab.database.verify_again("operator", [first["digest"]]) == 1
    lab.decide()
    assert "submit it again" in lab.database.entry(first["entry"]).reason  # type: ignore[union-attr]
    other = lab.send(out, token=lab.database.add_token("lab-b", 5))
    assert (other.status_code, other.get_json()["state"]) == (200, "rejected")
    assert lab.submit(out) == first
    assert not list((lab.config.folder / "bundles").iterdir())
    day = datetime.now(UTC) - timedelta(days=1)
    assert lab.database.num_submitted_since("lab-a", day) == 2  # each has its share of the quota


def test_entries_of_an_older_suite_are_not_verified_again(lab: Lab, bundle: Bundle) -> None:
    old = lab.send(bundle()).get_json()
    job = lab.database.claim(30.0)
    assert job is not None
    assert lab.database.verified(job, "lamer-1", "none", {ENVIRONMENT: RESULT})
    assert lab.database.verify_again("operator", present_suite()) == 0
    assert lab.database.verify_again("operator", [old["digest"]]) == 1


def test_runs_of_two_agents_are_no_entry(
    lab: Lab, played: Callable[..., RunFolder], tmp_path: Path
) -> None:
    runs = [played("random"), played("random", "minesweeper-medium", seed=1)]
    pack(runs, CARD, tmp_path / "two.zip")
    assert "its seed is not that of the other runs" in lab.submit(tmp_path / "two.zip")["reason"]


# Tokens ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "token", ["", "lamer_1_wrong", "lamer_2_x", "lamer_x_y", "lamer_99999999999_x", "'--", "é"]
)
def test_without_a_token_nothing_is_taken(lab: Lab, bundle: Bundle, token: str) -> None:
    answer = lab.send(bundle(), token=token)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert lab.database.audit() == []


def test_a_revoked_token_is_worthless_and_its_name_is_free_again(lab: Lab, bundle: Bundle) -> None:
    lab.database.revoke_token("lab-a")
    assert lab.send(bundle()).status_code == 401
    assert lab.send(bundle(), token=lab.database.add_token("lab-a", 1)).status_code == 202
    with pytest.raises(SettingError, match="No token is called 'nobody'"):
        lab.database.revoke_token("nobody")


def test_tokens_are_stored_as_hashes(lab: Lab) -> None:
    secret = lab.token.rpartition("_")[2]
    stored = (lab.config.folder.parent / "board.sqlite").read_bytes()
    stored += (lab.config.folder.parent / "board.sqlite-wal").read_bytes()
    assert b"lab-a" in stored
    assert secret.encode() not in stored


def test_a_quota_counts_submissions_of_a_day(tmp_path: Path, bundle: Bundle) -> None:
    lab = make_lab(tmp_path)
    lab.token = lab.database.add_token("small", 1)
    assert lab.send(bundle()).status_code == 202
    refused = lab.send(bundle(name="Another"))
    assert refused.status_code == 429
    assert "used its 1 runs of this day" in refused.get_json()["error"]
    assert lab.send(bundle()).status_code == 202  # the same one costs nothing
    later = datetime.now(UTC) + timedelta(days=1)
    assert lab.database.num_submitted_since("small", later) == 0


def test_wrong_tokens_and_many_bundles_have_to_wait(tmp_path: Path, bundle: Bundle) -> None:
    lab = make_lab(tmp_path, submissions_a_minute=2, refused_tokens_a_minute=3)
    assert [lab.send(bundle()).status_code for _ in range(3)] == [202, 202, 429]
    codes = [lab.send(bundle(), token="lamer_1_no").status_code for _ in range(4)]
    assert codes == [401, 401, 401, 429]
    assert int(lab.send(bundle()).headers["Retry-After"]) > 0


def test_wrong_tokens_of_others_lock_nobody_out(tmp_path: Path, bundle: Bundle) -> None:
    lab = make_lab(tmp_path, refused_tokens_a_minute=1)
    assert [lab.send(b"x", token="lamer_1_no").status_code for _ in range(2)] == [401, 429]
    assert lab.send(bundle()).status_code == 202


def test_behind_a_proxy_addresses_are_public_and_senders_told_apart(tmp_path: Path) -> None:
    few = {"refused_tokens_a_minute": 1}
    lab = make_lab(tmp_path, url="https://board.example", **few)
    assert "--url https://board.example " in lab.client.get("/submitting").text
    assert "<id>https://board.example/feed.atom</id>" in lab.client.get("/feed.atom").text

    def refused(asked: Lab, address: str) -> int:
        headers = {"X-Forwarded-For": f"10.9.9.9, {address}"}
        return asked.client.post("/api/v1/submissions", headers=headers).status_code

    assert [refused(lab, f"10.0.0.{n}") for n in (1, 1, 2)] == [401, 429, 401]
    (tmp_path / "direct").mkdir()
    direct = make_lab(tmp_path / "direct", **few)  # without a proxy nobody is believed
    assert [refused(direct, f"10.0.0.{n}") for n in (1, 2)] == [401, 429]


# Taking down -------------------------------------------------------------------------------------


def test_only_its_submitter_withdraws_an_entry(lab: Lab, bundle: Bundle) -> None:
    entry = lab.submit(bundle())["entry"]
    address = f"/api/v1/entries/{entry}/withdraw"
    other = {"Authorization": f"Bearer {lab.database.add_token('lab-b', 1)}"}
    assert lab.client.post(address, headers=other).status_code == 403
    own = {"Authorization": f"Bearer {lab.token}"}
    assert lab.client.post(address, headers=own).get_json()["state"] == "withdrawn"
    assert lab.client.post(address, headers=own).status_code == 404
    assert lab.client.get("/api/v1/table").get_json()["rows"] == []
    assert "withdrawn" in lab.client.get(f"/entries/{entry}").text
    assert lab.database.audit()[0].who == "lab-a"


def test_an_operator_removes_with_a_reason_and_verifies_again(lab: Lab, bundle: Bundle) -> None:
    kept = lab.submit(bundle())
    declared = {"base_model": "Some 7B", "link": "https://gone.example"}
    gone = lab.submit(bundle(name="Withheld", **declared))
    lab.database.take_down(gone["digest"], "removed", "operator", "leaked weights")
    for address in (f"/entries/{gone['entry']}", f"/api/v1/entries/{gone['entry']}"):
        shown = lab.client.get(address).text
        assert "leaked weights" in shown
        assert not any(text in shown for text in ("Withheld", "Some 7B", "gone.example"))
    assert lab.database.verify_again("operator", present_suite()) == 1
    assert lab.client.get("/healthz").get_json() == {"status": "ok", "pending": 1}
    lab.decide()
    assert [entry.id for entry in lab.database.entries()] == [kept["entry"]]
    actions = [line.action for line in lab.database.audit()]
    assert actions[:3] == ["verified", "reverify", "removed"]
    with pytest.raises(SettingError, match="stands on the board"):
        lab.database.take_down(gone["digest"], "removed", "operator", "again")


def test_a_backup_goes_on_without_what_is_removed_meanwhile(
    lab: Lab, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = lab.send(bundle()).get_json()
    lab.send(bundle(name="Another"))
    add = tarfile.TarFile.addfile

    def add_and_remove(archive: Any, info: Any, content: Any = None) -> None:
        lab.config.bundle(sent["digest"]).unlink(missing_ok=True)
        add(archive, info, content)

    monkeypatch.setattr(tarfile.TarFile, "addfile", add_and_remove)
    assert backup(lab.database, lab.config.folder, tmp_path / "board.tar.gz") == 1


def test_a_backup_that_is_cut_off_fills_nothing(lab: Lab, bundle: Bundle, tmp_path: Path) -> None:
    lab.send(bundle())
    archive = tmp_path / "board.tar.gz"
    backup(lab.database, lab.config.folder, archive)
    archive.write_bytes(archive.read_bytes()[:-1000])
    fresh = Database(f"sqlite:///{tmp_path}/fresh.sqlite")
    with pytest.raises(SettingError, match="is no backup of a board"):
        restore(archive, fresh, tmp_path / "copy")
    assert fresh.audit() == []
    fresh.close()


def test_a_backup_is_of_one_moment(lab: Lab) -> None:
    lab.database.note("rejected", "", "lab-a", "before")
    rows = lab.database.dump()
    first = next(rows)
    lab.database.note("rejected", "", "lab-a", "after")
    lines = [row["detail"] for table, row in [first, *rows] if table == "audit"]
    assert lines == ["before"]


def test_uploads_of_a_killed_server_are_removed_an_hour_later(lab: Lab) -> None:
    bundles = lab.config.folder / "bundles"
    old, new = bundles / "incoming-old", bundles / "incoming-new"
    for one in (old, new):
        one.write_bytes(b"PK")
    os.utime(old, (0, 0))
    clean(lab.config)
    assert list(bundles.iterdir()) == [new]


def test_a_restored_board_shows_the_same_pages(lab: Lab, bundle: Bundle, tmp_path: Path) -> None:
    lab.submit(bundle())
    lab.submit(bundle("explorer", name="Explorer"))
    archive = tmp_path / "board.tar.gz"
    assert backup(lab.database, lab.config.folder, archive) == 6
    copy = tmp_path / "copy"
    copy.mkdir()
    other = make_lab(copy)
    with pytest.raises(SettingError, match="not empty"):  # the new board has a token
        restore(archive, other.database, other.config.folder)
    fresh = Database(f"sqlite:///{tmp_path}/fresh.sqlite")
    (copy / "files" / "bundles").rmdir()
    restore(archive, fresh, copy / "files")
    from leaderboard.app import create_app
    from leaderboard.config import Config

    client = create_app(Config(folder=copy / "files"), fresh).test_client()
    trial = f"/entries/1/runs/{ENVIRONMENT}/trial/0.json"
    stored = "/api/v1/entries/2/bundle"
    for address in ("/", "/entries/1", "/audit", f"/environments/{ENVIRONMENT}", trial, stored):
        with client.get(address) as copied, lab.client.get(address) as original:
            assert copied.status_code == 200
            assert copied.data == original.data
    headers = {"Authorization": f"Bearer {lab.token}"}
    assert client.post("/api/v1/entries/1/withdraw", headers=headers).status_code == 200
