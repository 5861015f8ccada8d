"""`serve`, `submit`, `login`, `tokens` and `board`: a leaderboard, from both of its sides."""

from __future__ import annotations

import getpass
import importlib
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from lamer_bench.cli import options, output
from lamer_bench.errors import MissingExtraError, SettingError

Url = Annotated[str, typer.Option(help="The board's address, such as https://board.example.")]
DatabaseUrl = Annotated[
    str,
    typer.Option(
        help="sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME.",
        envvar="LAMER_BENCH_DATABASE_URL",
    ),
]
Folder = Annotated[Path, typer.Option(help="Where the board keeps bundles and verified runs.")]
_DATABASE = "sqlite:///board.sqlite"
_FOLDER = Path("board-files")


def _room(name: str) -> Any:
    """A module of the board; the core does not depend on it."""
    try:
        return importlib.import_module(f"leaderboard.{name}")
    except ImportError as error:
        raise MissingExtraError(
            f"The board needs packages that are not installed ({error}). "
            'Install them: pip install "lamer-bench[leaderboard]"'
        ) from error


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 8000,
    url: Annotated[
        str,
        typer.Option(
            help="The public address, such as https://board.example, where a reverse proxy stands "
            "in front; what the proxy says of a request's sender is believed.",
            show_default=False,
        ),
    ] = "",
    database_url: DatabaseUrl = _DATABASE,
    folder: Folder = _FOLDER,
    title: Annotated[str, typer.Option(help="Name of the board.")] = "lamer-bench",
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes that replay submissions, one at a time each; as many as there are "
            "cores when left out.",
            show_default=False,
        ),
    ] = None,
    salt_file: Annotated[
        Path | None,
        typer.Option(
            help="File of mode 600 with the secret that sealed tasks are drawn from; the variable "
            "LAMER_BENCH_SALT does the same.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Run a leaderboard: pages, API, and workers that replay what is submitted."""
    serving, config = _room("serving"), _room("config")
    settings = config.Config(
        database_url=database_url,
        folder=folder,
        title=title,
        url=_public(url),
        sealed_salt=_room("sealed").read_salt(salt_file),
    )
    try:
        serving.serve(
            settings,
            host,
            port,
            lambda address: print(f"Serving at {address} (Ctrl+C ends it)", flush=True),
            workers=workers,
        )
    except KeyboardInterrupt:
        print("\nStopped.")


def _public(url: str) -> str:
    if url and _room("client").board_address(url).count("/") > 2:
        raise SettingError(f"{url!r} has a path; a board stands at the root of its address.")
    return url


def play_sealed(agent: str, environment: str, url: str, *, as_json: bool, **settings: Any) -> None:
    """`run --sealed`: play what a leaderboard asks, and print the scores that it computed."""
    with output.shown_progress() as show:
        try:
            found = _room("sealed_client").play(
                agent, environment, url, progress=show, notice=output.notice, **settings
            )
        except KeyboardInterrupt:
            output.notice("\nStopped; the board keeps what was answered. The same command goes on.")
            raise typer.Exit(130) from None
    if as_json:
        output.print_json(found)
        return
    scores = found["scores"]
    rows = [
        (f"{word}@{k}", _share(value), _ends(scores[f"{key}_ci"][k]))
        for word, key in (("pass", "pass_at"), ("control pass", "independent_pass_at"))
        for k, value in scores[key].items()
    ]
    rows.append(("gain", _share(scores["gain"]), _ends(scores["gain_ci"])))
    rows.append(("void trials", str(scores["voids"] + scores["control_voids"]), ""))
    title = f"{found['name']} on {environment}, {scores['tasks']} sealed tasks of {url}"
    output.print_table(("score", ">value", ">95 % interval"), rows, title)
    print(f"It stands beside your entry {found['name']!r} with memory {scores['memory']}.")


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _ends(interval: list[float] | None) -> str:
    return "" if interval is None else f"{interval[0]:.3f} .. {interval[1]:.3f}"


def submit(
    runs: Annotated[
        list[Path], typer.Argument(help="Run folders of one agent.", show_default=False)
    ],
    url: Url,
    kind: Annotated[str, typer.Option(help="prompting, trained, scripted or human.")],
    name: Annotated[
        str | None,
        typer.Option(help="Name on the board; the agent's own unless said.", show_default=False),
    ] = None,
    base_model: Annotated[str, typer.Option(help="The language model behind it.")] = "",
    trained_on_suite: Annotated[
        bool, typer.Option("--trained-on-suite", help="It saw the suite's train split in training.")
    ] = False,
    open_weights: Annotated[
        bool | None, typer.Option("--open-weights/--closed-weights", show_default=False)
    ] = None,
    link: Annotated[str, typer.Option(help="A page about it, https.")] = "",
    wait: Annotated[float, typer.Option(help="Seconds to wait for the verdict.")] = 1800.0,
    as_json: options.AsJson = False,
) -> None:
    """Replay runs here, send them to a leaderboard, and wait for its verdict."""
    from lamer_bench.record import RunFolder

    client, bundles = _room("client"), _room("bundles")
    card = _card(
        bundles,
        name=name or RunFolder(runs[0]).manifest().settings.agent,
        kind=kind,
        base_model=base_model,
        trained_on_suite=trained_on_suite,
        open_weights=open_weights,
        link=link,
    )
    found = client.submit(runs, url, card, seconds=wait, notice=output.notice)
    if as_json:
        output.print_json({key: found[key] for key in ("state", "entry", "reason")})
    else:
        reason = f": {found['reason']}" if found["reason"] else ""
        print(f"{found['state']}{reason}")
        if found.get("url"):
            print(found["url"])
    raise typer.Exit(0 if found["state"] in ("verified", "pending") else 1)


def _card(bundles: Any, **values: Any) -> Any:
    try:
        return bundles.AgentCard(**values)
    except ValueError as error:
        fault = error.errors(include_url=False)[0]  # type: ignore[attr-defined]
        option = "--" + "-".join(str(fault["loc"][0]).split("_"))
        raise SettingError(f"{option} is {fault['input']!r}: {fault['msg']}.") from error


def login(
    url: Url,
    token: Annotated[
        str | None, typer.Option(help="Asked for unless given.", show_default=False)
    ] = None,
) -> None:
    """Store the token for a leaderboard in a file that only you can read."""
    client = _room("client")
    client.board_address(url)
    if token is None:
        ask = getpass.getpass if sys.stdin.isatty() else (lambda _: sys.stdin.readline())
        token = ask(f"Token for {url}: ")
    if not token.strip().startswith("lamer_"):
        raise SettingError("That is no token of a board; a token begins with lamer_.")
    print(f"Stored in {client.store_token(url, token.strip())}")


tokens = typer.Typer(no_args_is_help=True)


@tokens.command("add")
def tokens_add(
    name: Annotated[str, typer.Argument(help="Whose it is.", show_default=False)],
    database_url: DatabaseUrl = _DATABASE,
    quota: Annotated[int, typer.Option(help="Submissions in 24 hours.")] = 50,
    as_json: options.AsJson = False,
) -> None:
    """Make a token for a submitter; it is shown once and stored as a hash."""
    if not (name.isprintable() and 0 < len(name) <= 40) or set(name) & set("<>"):
        raise SettingError(f"{name!r} is no name: 1 to 40 printable characters without < and >.")
    made = _database(database_url).add_token(name, max(1, quota))
    if as_json:
        output.print_json({"token": made})
    else:
        print(made)


@tokens.command("list")
def tokens_list(database_url: DatabaseUrl = _DATABASE, as_json: options.AsJson = False) -> None:
    """List submitters."""
    found = _database(database_url).tokens()
    if as_json:
        listed = [
            {"name": t.name, "quota": t.quota, "revoked": t.revoked_at is not None} for t in found
        ]
        output.print_json({"tokens": listed})
        return
    rows = [
        (t.name, str(t.quota), str(t.created_at.date()), "revoked" if t.revoked_at else "")
        for t in found
    ]
    output.print_table(("name", ">quota a day", "made", ""), rows)


@tokens.command("revoke")
def tokens_revoke(
    name: Annotated[str, typer.Argument(help="Whose it is.", show_default=False)],
    database_url: DatabaseUrl = _DATABASE,
) -> None:
    """Make a token worthless; the submitter's entries stay."""
    _database(database_url).revoke_token(name)
    print(f"Revoked: {name}")


board = typer.Typer(no_args_is_help=True)
Digest = Annotated[str, typer.Argument(help="The entry's digest, as its page shows it.")]


@board.command("withdraw")
def withdraw(
    entry: Annotated[int, typer.Argument(help="Number of your entry.", show_default=False)],
    url: Url,
) -> None:
    """Take your own entry off a board."""
    _room("client").withdraw(entry, url)
    print(f"Withdrawn: entry {entry}")


@board.command("remove")
def remove(
    digest: Digest,
    reason: Annotated[str, typer.Option(help="Stands in the audit log.")],
    database_url: DatabaseUrl = _DATABASE,
) -> None:
    """Operator: take an entry off the board, with a reason."""
    _database(database_url).take_down(digest, "removed", "operator", reason)
    print(f"Removed: {digest[:12]}")


@board.command("reverify")
def reverify(
    digests: Annotated[list[str] | None, typer.Argument(show_default=False)] = None,
    database_url: DatabaseUrl = _DATABASE,
) -> None:
    """Operator: verify entries again: all verified ones of the present suite, unless some are
    named."""
    which = digests or _room("board").present_suite()
    waiting = _database(database_url).verify_again("operator", which)
    print(f"{waiting} entries wait for their replay.")


@board.command("backup")
def backup(
    out: Annotated[Path, typer.Argument(help="A .tar.gz file.", show_default=False)],
    database_url: DatabaseUrl = _DATABASE,
    folder: Folder = _FOLDER,
) -> None:
    """Operator: write the whole board, database and files, into one archive."""
    print(f"{_room('backups').backup(_database(database_url), folder, out)} files in {out}")


@board.command("restore")
def restore(
    archive: Annotated[Path, typer.Argument(help="What backup wrote.", show_default=False)],
    database_url: DatabaseUrl = _DATABASE,
    folder: Folder = _FOLDER,
) -> None:
    """Operator: fill an empty board from an archive."""
    print(f"{_room('backups').restore(archive, _database(database_url), folder)} files restored")


def _database(url: str) -> Any:
    return _room("database").Database(url)
