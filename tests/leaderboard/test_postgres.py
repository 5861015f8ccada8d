"""The same board on PostgreSQL: a server of its own, from Debian's packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from leaderboard.database import Database, _log
from tests.leaderboard.conftest import Lab, make_lab, with_secret
from tests.leaderboard.test_crashes import (
    test_a_lease_that_ran_out_is_taken_over_and_the_late_worker_decides_nothing,
    test_many_at_once_have_one_verdict_each,
)
from tests.leaderboard.test_schema import test_the_database_itself_keeps_the_audit_log
from tests.leaderboard.test_sealed import (
    begin,
    test_an_answer_counts_once_and_a_late_one_is_void,
    test_lost_connections_and_a_forgetful_board_change_nothing,
    url,
)
from tests.leaderboard.test_submissions import (
    test_a_backup_is_of_one_moment,
    test_a_revoked_token_is_worthless_and_its_name_is_free_again,
    test_a_submission_is_replayed_and_its_scores_are_computed_here,
    test_an_operator_removes_with_a_reason_and_verifies_again,
    test_only_its_submitter_withdraws_an_entry,
    test_the_same_runs_are_one_entry_however_they_are_packed,
)

pytest.importorskip("psycopg", reason="psycopg is in the [postgres] extra")
SERVERS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
PROGRAMS = SERVERS[-1].parent if SERVERS else None
pytestmark = pytest.mark.skipif(
    PROGRAMS is None, reason="no PostgreSQL here: apt-get install postgresql"
)


@pytest.fixture(scope="module")
def server() -> Iterator[Path]:
    """A server that listens on a socket in a folder only."""
    assert PROGRAMS is not None
    folder = Path(tempfile.mkdtemp(prefix="board-"))  # pytest's own folders are closed to others
    user = None
    if os.geteuid() == 0:  # it refuses to run as root
        user = "postgres"
        shutil.chown(folder, user)

    def run(*command: str) -> None:
        subprocess.run(command, check=True, user=user, stdout=subprocess.DEVNULL, cwd=folder)

    data = str(folder / "data")
    same_everywhere = ("--locale=C", "--encoding=UTF8", "--no-sync")
    run(str(PROGRAMS / "initdb"), "-D", data, "-A", "trust", "-U", "board", *same_everywhere)
    settings = f"-k {folder} -c listen_addresses='' -c fsync=off"
    control = str(PROGRAMS / "pg_ctl")
    run(control, "-D", data, "-o", settings, "-l", str(folder / "log"), "-w", "start")
    yield folder
    run(control, "-D", data, "-m", "immediate", "stop")
    shutil.rmtree(folder)


@pytest.fixture
def lab(server: Path, tmp_path: Path) -> Iterator[Lab]:
    """A board on a database of its own."""
    import psycopg

    name = f"board_{abs(hash(tmp_path))}"
    with psycopg.connect(
        f"host={server} user=board dbname=postgres", autocommit=True
    ) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = f"postgresql://board@/{name}?host={server}"
    made = make_lab(tmp_path, url, submissions_a_minute=1000)
    yield made
    made.database.close()


def test_a_backup_moves_a_board_from_one_database_to_another(
    lab: Lab, bundle: Callable[..., Path], tmp_path: Path
) -> None:
    lab.submit(bundle())
    copy = Database(f"sqlite:///{tmp_path}/copy.sqlite")
    begin(with_secret(lab))
    copy.fill(lab.database.dump())
    assert copy.entries() == lab.database.entries()
    assert copy.audit() == lab.database.audit()
    assert copy.sealed_run(1) == lab.database.sealed_run(1) is not None
    copy.close()


def test_a_line_that_is_committed_late_is_another_version(lab: Lab) -> None:
    with lab.database._writing() as late:
        _log(late, "rejected", "", "lab-a", "first")
        lab.database.note("rejected", "", "lab-a", "second")
        before = lab.database.version()
    assert lab.database.version() != before


__all__ = [
    "test_a_backup_is_of_one_moment",
    "test_a_lease_that_ran_out_is_taken_over_and_the_late_worker_decides_nothing",
    "test_a_revoked_token_is_worthless_and_its_name_is_free_again",
    "test_a_submission_is_replayed_and_its_scores_are_computed_here",
    "test_an_answer_counts_once_and_a_late_one_is_void",
    "test_an_operator_removes_with_a_reason_and_verifies_again",
    "test_lost_connections_and_a_forgetful_board_change_nothing",
    "test_many_at_once_have_one_verdict_each",
    "test_only_its_submitter_withdraws_an_entry",
    "test_the_database_itself_keeps_the_audit_log",
    "test_the_same_runs_are_one_entry_however_they_are_packed",
    "url",
]
