"""The command line: one file for each group of commands, and main(), where errors become one line.

Commands import what they need when they are called, so that ``--help`` does not wait for it.
"""

from __future__ import annotations

import os

# Before NumPy or torch is loaded: threads that wait must not spin on a small machine, and the
# matrices of the shipped models are too small to share among threads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import errno
import sys
from collections.abc import Sequence

import typer

from lamer_bench.cli import board, exporting, playing, plotting, results, running, splits, viewing
from lamer_bench.errors import LamerBenchError

app = typer.Typer(
    name="lamer-bench",
    help="Multi-episode text environments for language agents that explore and adapt.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("list")(playing.list_)
app.command("play")(playing.play)
app.command("run")(running.run)
app.command(
    "train",
    add_help_option=False,  # the settings of each algorithm are declared with it
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)(running.train)
app.command("score")(results.score)
app.command("compare")(results.compare)
app.command("plot", cls=plotting.PlotCommand)(plotting.plot)
app.command("view")(viewing.view)
app.command("export")(exporting.export)
app.command("verify")(results.verify)
app.command("check")(results.check)
app.command("submit")(board.submit)
app.command("login")(board.login)
app.command("serve")(board.serve)
app.add_typer(board.tokens, name="tokens", help="Tokens of a leaderboard's submitters.")
app.add_typer(board.board, name="board", help="Withdraw an entry; look after a leaderboard.")
app.add_typer(splits.app, name="splits", help="Prove that splits share no task; freeze suites.")

_UsageError: type[Exception] = typer.BadParameter.__mro__[1]  # of whichever click typer uses


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code: 0 done, 1 refused, 2 an error, 130 interrupted."""
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # for module:Class references; last, so that it hides nothing
    try:
        code = app(None if arguments is None else list(arguments), standalone_mode=False)
    except LamerBenchError as error:
        return _fail(str(error))
    except _UsageError as error:
        message = error.format_message()  # type: ignore[attr-defined]
        if type(error).__name__ == "NoArgsIsHelpError":  # the help of a command without arguments
            print(message, file=sys.stderr)
            return 2
        return _fail(message)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # `lamer-bench list | head`
        return 1
    except OSError as error:
        way_out = " Give another with --port." if error.errno == errno.EADDRINUSE else ""
        return _fail(f"{error.filename or 'The system'}: {error.strerror or error}.{way_out}")
    return code if isinstance(code, int) else 0


def _fail(message: str) -> int:
    line = " ".join(message.split())
    print(f"lamer-bench: {line}", file=sys.stderr)
    return 2
