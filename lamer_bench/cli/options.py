"""Options that several commands share: each is declared once, with its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Agent = Annotated[str, typer.Option(help="An agent's name, or module:Class.")]
AgentOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--agent-option",
        metavar="NAME=VALUE",
        help="An option of the agent, such as temperature=0.5; may be given again.",
        show_default=False,
    ),
]
Environment = Annotated[str, typer.Option(help="minesweeper-hard, or module:Class-level.")]
Split = Annotated[str, typer.Option(help="train, val or test.")]
Episodes = Annotated[int, typer.Option(help="Episodes in a trial: the k of pass@k.")]
MemoryMode = Annotated[
    str | None,
    typer.Option(help="none, history, reflection or both; the agent's default unless said."),
]
Seed = Annotated[int, typer.Option(help="Seed of the agent's own draws.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
AllowImports = Annotated[
    bool,
    typer.Option("--allow-imports", help="Import a module:Class-level environment; it runs code."),
]
RunDir = Annotated[Path, typer.Argument(help="A run folder.", show_default=False)]
