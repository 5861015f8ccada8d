"""What a board stands: requests of the overview, replayed turns, simultaneous submissions.

    python scripts/benchmark_leaderboard.py [--entries 1000] [--submissions 50]

Fills a board with copies of a real run under other names (their scores differ, as random players'
do), about 1,000 turns each, serves it with waitress, and asks for the overview from eight threads;
then judges bundles, plays sealed tasks, and lets 50 senders come at once. Everything is on this
machine, so that the clients take their part of its cores.
"""

from __future__ import annotations

import argparse
import http.client
import logging
import os
import secrets
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import waitress

from lamer_bench.record import RunFolder
from lamer_bench.runner import run
from lamer_bench.verify import verify
from leaderboard import client, sealed_client
from leaderboard.app import create_app
from leaderboard.bundles import AgentCard, pack
from leaderboard.config import Config
from leaderboard.database import Database
from leaderboard.judge import judge
from leaderboard.serving import WorkerKeeper
from leaderboard.worker import work_once

ENVIRONMENT = "minesweeper-easy"
PATHS = ("/", f"/environments/{ENVIRONMENT}", "/?sort=gain", "/?kind=scripted")
MIXED = (ENVIRONMENT, "minesweeper-hard", "sokoban-medium", "sokoban-hard", "webshop-easy")
NUM_BUNDLES = 4
THREADS = 8
SECONDS = 10.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--entries", type=int, default=1000)
    parser.add_argument("--submissions", type=int, default=50)
    options = parser.parse_args()
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        config = Config(f"sqlite:///{folder}/board.sqlite", Path(folder) / "files")
        database = Database(config.database_url)
        played = [
            run("random", ENVIRONMENT, seed=seed, out=Path(folder) / f"run{seed}")
            for seed in range(8)
        ]
        turns = fill(database, played, options.entries, Path(folder))
        print(f"{options.entries} entries, {turns:,} turns")
        show_requests(config, database)
        show_replay(Path(folder))
        show_verification(Path(folder))
        show_workers(Path(folder))
        show_sealed(config, database)
        show_submissions(config, database, played[0], options.submissions, Path(folder))


def fill(database: Database, played: list[RunFolder], entries: int, folder: Path) -> int:
    """Entries with the verdicts of real judgements; returns the turns that they have."""
    verdicts = []
    for number, one in enumerate(played):
        bundle, out = folder / f"{number}.zip", folder / f"out{number}"
        pack([one], card("x"), bundle)
        out.mkdir()
        verdicts.append(judge(bundle, out))
    turns = 0
    for number in range(entries):
        verdict = verdicts[number % len(verdicts)]
        database.submit(f"{number:064x}", card(f"Agent {number}"), "lab")
        job = database.claim(60)
        assert job is not None
        database.verified(job, verdict["suite"], verdict["memory"], verdict["results"])
        turns += verdict["results"][ENVIRONMENT]["num_turns"]
    return turns


def card(name: str) -> AgentCard:
    """A card for a player at random."""
    return AgentCard(name=name, kind="scripted", trained_on_suite=False)


def show_requests(config: Config, database: Database) -> None:
    """Requests a second, and how long the slowest took."""
    app = create_app(config, database)
    server: Any = waitress.create_server(app, host="127.0.0.1", port=0, threads=THREADS)
    threading.Thread(target=server.run, daemon=True).start()
    started = time.perf_counter()
    once(server.effective_port, "/")
    print(f"first overview after a change: {1000 * (time.perf_counter() - started):.0f} ms")
    for path in PATHS:
        once(server.effective_port, path)
    taken: list[float] = []
    end = time.perf_counter() + SECONDS
    threads = [
        threading.Thread(target=ask, args=(server.effective_port, end, taken))
        for _ in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    median, slow = 1000 * np.percentile(taken, [50, 99])
    rate = len(taken) / SECONDS
    print(f"overview: {rate:.0f} a second, median {median:.1f} ms, 99th percentile {slow:.1f} ms")
    server.close()


def ask(port: int, end: float, taken: list[float]) -> None:
    """Ask for pages in turn until the time is over."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for path in endless(PATHS):
        started = time.perf_counter()
        if started > end:
            break
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        assert response.status == 200
        taken.append(time.perf_counter() - started)
    connection.close()


def endless(paths: tuple[str, ...]) -> Iterator[str]:
    """The paths again and again."""
    while True:
        yield from paths


def once(port: int, path: str) -> None:
    """One request."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", path)
    connection.getresponse().read()
    connection.close()


def show_replay(folder: Path) -> None:
    """Turns a second of a judgement, unpacking and scoring included."""
    for environment in (ENVIRONMENT, "sokoban-medium", "webshop-easy"):
        played = run("random", environment, tasks=200, out=folder / f"replay-{environment}")
        pack([played], card("x"), folder / "replay.zip")
        out = folder / f"replayed-{environment}"
        out.mkdir()
        started, cpu = time.perf_counter(), time.process_time()
        verdict = judge(folder / "replay.zip", out)
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        turns = verdict["results"][environment]["num_turns"]
        print(
            f"{environment}: {turns:,} turns judged, {turns / seconds:,.0f} a second "
            f"({turns / cpu:,.0f} by CPU time)"
        )


def show_verification(folder: Path) -> None:
    """Turns a second of `verify`, replay and scores, in a process for each core."""
    runs = [run("random", one, tasks=200, out=folder / f"v-{one}").path for one in MIXED]
    cores = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(cores) as pool:
        list(pool.map(replayed_turns, [runs] * cores))  # everything is loaded now
        started = time.perf_counter()
        turns = sum(pool.map(replayed_turns, [runs] * 2 * cores))
        seconds = time.perf_counter() - started
    print(f"verify on {cores} cores: {turns:,} turns, {turns / seconds:,.0f} a second by the clock")


def replayed_turns(runs: list[Path]) -> int:
    """Verify runs that are right; returns their turns."""
    verdicts = [verify(one) for one in runs]
    assert all(verdict.is_ok for verdict in verdicts)
    return sum(verdict.num_turns for verdict in verdicts)


def show_workers(folder: Path) -> None:
    """Turns a second of a board's workers together, one for each core: from the moment that bundles
    come in until the last verdict. Each judgement is a process of its own."""
    config = Config(f"sqlite:///{folder}/workers.sqlite", folder / "workers")
    database = Database(config.database_url)
    app = create_app(config, database)
    headers = {"Authorization": f"Bearer {database.add_token('lab', 100)}"}

    def bundle(seed: int, environments: tuple[str, ...], tasks: int) -> bytes:
        runs = [
            run("random", environment, tasks=tasks, seed=seed, out=folder / f"{seed}-{environment}")
            for environment in environments
        ]
        pack(runs, card(f"Player {seed}"), folder / "sent.zip")
        return (folder / "sent.zip").read_bytes()

    def judged(contents: list[bytes]) -> float:
        started = time.perf_counter()
        for content in contents:
            answer = app.test_client().post("/api/v1/submissions", data=content, headers=headers)
            assert answer.status_code < 300, answer.text
        while database.num_pending():
            time.sleep(0.05)
        return time.perf_counter() - started

    contents = [bundle(seed, MIXED, 200) for seed in range(NUM_BUNDLES)]
    workers = [WorkerKeeper(config) for _ in os.sched_getaffinity(0)]
    for worker in workers:
        worker.start()
    judged([bundle(seed, (ENVIRONMENT,), 10) for seed in range(100, 104)])  # they are there now
    seconds = judged(contents)
    for worker in workers:
        worker.stop()
    entries = database.entries()[-NUM_BUNDLES:]
    turns = sum(result.num_turns for entry in entries for result in entry.results.values())
    print(
        f"{len(workers)} workers: {NUM_BUNDLES} bundles of {len(MIXED)} environments, "
        f"{turns:,} turns judged, {turns / seconds:,.0f} a second by the clock"
    )


def show_sealed(config: Config, database: Database) -> None:
    """Turns a second of a player at random on the sealed tasks, through HTTP."""
    app = create_app(replace(config, sealed_salt=secrets.token_hex(32)), database)
    server: Any = waitress.create_server(app, host="127.0.0.1", port=0, threads=THREADS)
    threading.Thread(target=server.run, daemon=True).start()
    os.environ[client.TOKEN_VARIABLE] = database.add_token("away", 1000)
    for environment in (ENVIRONMENT, "webshop-easy"):
        started = time.perf_counter()
        url = f"http://127.0.0.1:{server.effective_port}"
        scores = sealed_client.play("random", environment, url)["scores"]
        seconds = time.perf_counter() - started
        turns = sum(cost["environment_steps"] for cost in scores["cost"].values())
        print(
            f"{environment}, sealed: {scores['trials']} trials, {turns:,} turns in "
            f"{seconds:.1f} s, {turns / seconds:,.0f} a second"
        )


def show_submissions(
    config: Config, database: Database, played: RunFolder, number: int, folder: Path
) -> None:
    """Senders that come at once, each with a bundle of its own."""
    app = create_app(config, database)
    token = database.add_token("many", 10 * number)
    headers = {"Authorization": f"Bearer {token}"}
    contents = []
    for one in range(number):
        pack([played], card(f"Sender {one}"), folder / "sent.zip")
        contents.append((folder / "sent.zip").read_bytes())
    codes: list[int] = []

    def send(content: bytes) -> None:
        answer = app.test_client().post("/api/v1/submissions", data=content, headers=headers)
        codes.append(answer.status_code)

    started = time.perf_counter()
    threads = [threading.Thread(target=send, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = time.perf_counter() - started
    while work_once(config, database):
        pass
    lines = [line for line in database.audit(most=10 * number) if line.digest]
    own = {line.digest for line in lines if line.who == "many"}
    verdicts = Counter(line.digest for line in lines if line.action == "verified")
    counts = sorted(Counter(verdicts[digest] for digest in own).items())
    print(
        f"{number} at once: taken in {taken:.1f} s with codes {dict(Counter(codes))}, "
        f"all judged after {time.perf_counter() - started:.0f} s; verdicts of each: "
        + ", ".join(f"{count} have {times}" for times, count in counts)
    )


if __name__ == "__main__":
    main()
