"""What test_distributed.py has done by one process and by two: updates of given rows, and a whole
training.

    python -m tests.baselines.two_processes START OUT

Under a launcher's environment variables it is one of several processes.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from baselines.training.chat_policy import start_policy
from baselines.training.credit import Credit
from baselines.training.distributed import Processes, whole
from baselines.training.lamer import LamerSettings
from baselines.training.loop import fill_in, fill_in_reference, make_optimizer, train, update
from baselines.training.rollouts import Rollout, Row

VARIANTS: dict[str, dict[str, Any]] = {
    "all weights": {
        "entropy_bonus": 0.01,
        "micro_batch_tokens": 64,
        "gradient_checkpointing": True,
    },
    "adapters and a reference": {"lora_rank": 4, "reference_kl": 0.1, "micro_batch_tokens": 64},
    "a value head": {"estimator": "ppo", "micro_batch_tokens": 100},
}


def settings(start: Path, **given: Any) -> LamerSettings:
    """Of a small training with a chat model."""
    return LamerSettings(
        str(start),
        environments=("tests.toys:Vault-easy",),
        device="cpu",
        steps=2,
        tasks=3,
        episodes=2,
        episodes_per_task=4,
        minibatches=2,
        max_tokens=4,
        learning_rate=1e-3,
        checkpoint_steps=1,
        **given,
    )


def some_rows() -> list[Row]:
    """Of trials of different length, so that the shares are not equal."""
    rows = []
    for trial in range(7):
        for turn in range(1 + trial % 3):
            prompt = [10 + (3 * trial + place) % 90 for place in range(4 + 5 * trial)]
            tokens = [20 + (7 * trial + turn + place) % 90 for place in range(1 + trial % 4)]
            rows.append(Row(trial, 0, turn, "act", "", prompt, tokens, []))
    return rows


def spread(rollout: Rollout, settings: LamerSettings) -> Credit:
    """An advantage, and a target for a value head, that depend on where an answer stands."""
    places = [
        7 * row.trial + 5 * row.episode + 3 * row.turn + (row.kind == "act") for row in rollout.rows
    ]
    values = (np.array(places) % 11 - 5) / 5
    return Credit(values, -values if settings.has_values else None)


def one_update(chosen: LamerSettings) -> dict[str, Any]:
    """Update on `some_rows`: what there is afterwards."""
    policy = start_policy(chosen, torch.device("cpu"))
    processes = Processes.join(policy.device)
    processes.shard(policy)
    optimizer = make_optimizer(policy, chosen)
    rows = some_rows()
    fill_in(policy, rows, processes)
    if chosen.reference_kl:
        fill_in_reference(policy, rows, processes)
    credited = spread(Rollout([], [], rows), chosen)
    losses = update(policy, optimizer, rows, credited, chosen, 0, processes)
    return {
        "losses": losses,
        "weights": policy.state_dict(),
        "gradients": [whole(parameter.grad) for parameter in policy.parameters()],
        "size": sum(parameter.to_local().numel() for parameter in policy.parameters())
        if processes.shards
        else sum(parameter.numel() for parameter in policy.parameters()),
    }


def everything(start: Path, out: Path, *, is_cut_off: bool) -> None:
    """All that is compared; the main process writes it. One training may be cut off in its second
    step, and go on."""
    made = {name: one_update(settings(start, **given)) for name, given in VARIANTS.items()}
    processes = Processes.join(torch.device("cpu"))
    if processes.is_main:
        out.mkdir()
        torch.save(made, out / "updates.pt")
    processes.wait()
    calls: list[int] = []

    def stops(rollout: Rollout, chosen: LamerSettings) -> Credit:
        calls.append(1)
        if is_cut_off and len(calls) == 2:
            raise KeyboardInterrupt
        return spread(rollout, chosen)

    with suppress(KeyboardInterrupt):
        train(settings(start), stops, out / "training")
    if is_cut_off:
        train(settings(start), spread, out / "training")
    train(settings(start, lora_rank=4), spread, out / "adapters")


def main() -> None:
    torch.set_num_threads(1)
    everything(Path(sys.argv[1]), Path(sys.argv[2]), is_cut_off=True)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
