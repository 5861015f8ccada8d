"""Tokens per second of the training loop against TRL's GRPOTrainer: same model, same prompts.

    pip install trl    # into an environment of its own, with this package and its extra [train]
    python recipes/throughput.py [--start POLICY | --width 512 --layers 8] [--steps 10]

One step of either side is the whole loop: sample ``--group`` answers to each of ``--tasks`` first
boards of minesweeper-medium (an episode of one turn), reward them, and take one optimiser step on
all of them. Both have the same weights, prompts, groups, answer limit and end token, precision,
threads, optimiser (AdamW), GRPO advantages without a reference model, and 4,096 tokens in one
forward pass (ours counts shared beginnings once); both are on the CPU, where small policies are
trained, and on policy, so that TRL evaluates nothing twice. What helps TRL: its reward is a look at
the text, where ours plays the environment and keeps a record.

The two take turns, step by step in one process, so that whatever else the machine does meets both.
The first steps are left out. Tokens are those of prompts and answers, each answer with its prompt.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from transformers.utils import logging

from baselines.prompts import compact
from baselines.training.chat_policy import start_policy
from baselines.training.grpo import GrpoSettings, credit
from baselines.training.loop import make_optimizer, plans, train_step
from baselines.training.model import ModelSize, build_model, build_tokenizer, save_policy
from environments.minesweeper import Minesweeper
from lamer_bench import make, play

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = "throughput:OneMove-medium"
ANSWER_TOKENS = 8
"""At most, as small policies answer a board."""
CLOSING_TAG = "</action>"
WARMUP_STEPS = 2


class OneMove(Minesweeper):
    """MineSweeper that is over after the first cell.

    ## Action
    A hidden cell.

    ## Observation
    The board.

    ## Reward
    As in MineSweeper.

    ## Ends
    After one turn.

    ## Levels
    Those of MineSweeper.

    ## Splits
    Those of MineSweeper.
    """

    family: ClassVar[str] = "onemove"

    def __init__(self, level: str = "easy", **options: Any) -> None:
        super().__init__(level, **options)
        self.turn_limit = 1


@dataclass
class Side:
    """What one of the two took and did, an entry for each step."""

    name: str
    seconds: list[float] = field(default_factory=list)
    processor_seconds: list[float] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)

    def rate(self) -> float:
        """Tokens per second, without the first steps."""
        return sum(self.tokens[WARMUP_STEPS:]) / sum(self.seconds[WARMUP_STEPS:])

    def processor_rate(self) -> float:
        """Tokens per second of processor time, which other programs do not take part of."""
        return sum(self.tokens[WARMUP_STEPS:]) / sum(self.processor_seconds[WARMUP_STEPS:])


class Ours:
    """The loop of `lamer-bench train grpo`, a step at a time."""

    def __init__(self, start: Path, options: argparse.Namespace) -> None:
        self.settings = GrpoSettings(
            str(start),
            environments=(ENVIRONMENT,),
            steps=options.steps + WARMUP_STEPS,
            tasks=options.tasks,
            episodes_per_task=options.group,
            minibatches=1,
            entropy_bonus=0.0,
            precision=options.precision,
            learning_rate=1e-6,
        )
        self.policy = start_policy(self.settings, torch.device("cpu"))
        self.optimizer = make_optimizer(self.policy, self.settings)
        self.side = Side("lamer-bench")
        self.rollout_shares: list[float] = []

    def step(self) -> None:
        """One rollout and update."""
        number = len(self.side.seconds)
        begun = time.perf_counter(), time.process_time()
        metrics = train_step(self.policy, self.optimizer, self.settings, credit, number)
        took = time.perf_counter() - begun[0]
        self.side.seconds.append(took)
        self.side.processor_seconds.append(time.process_time() - begun[1])
        total = metrics["rollout_seconds"] + metrics["update_seconds"]
        self.side.tokens.append(round(metrics["tokens_per_second"] * total))
        self.rollout_shares.append(metrics["rollout_share"])

    def prompts(self) -> list[str]:
        """What is asked in each step, one step's after the other's."""
        views = [
            next(play(make(ENVIRONMENT), plan)).view
            for step in range(self.settings.steps)
            for plan in plans(self.settings, step)[:: self.settings.trials]
        ]
        return [compact(view, "act") for view in views]


class TakingTurns(TrainerCallback):
    """Times TRL's steps, and after each of them lets ours have one."""

    def __init__(self, ours: Ours) -> None:
        self.ours = ours
        self.side = Side("TRL")
        self.step_tokens = 0
        self._begun = (0.0, 0.0)

    def reward(
        self, completions: list[str], completion_ids: list[list[int]], **_: Any
    ) -> list[float]:
        """1 for a cell of the first three rows."""
        self.step_tokens += sum(map(len, completion_ids))
        return [float(text.lstrip().startswith(("(1,", "(2,", "(3,"))) for text in completions]

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self._begun = time.perf_counter(), time.process_time()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.side.seconds.append(time.perf_counter() - self._begun[0])
        self.side.processor_seconds.append(time.process_time() - self._begun[1])
        self.side.tokens.append(self.step_tokens)
        self.step_tokens = 0
        self.ours.step()


def train_both(start: Path, options: argparse.Namespace, scratch: Path) -> TakingTurns:
    """TRL's training, with a step of ours after each of its own."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    ours = Ours(start, options)
    tokenizer = AutoTokenizer.from_pretrained(start)
    tokenizer.eos_token = CLOSING_TAG
    tokenizer.padding_side = "left"
    model = AutoModelForCausalLM.from_pretrained(start, dtype=torch.float32)
    model.config.eos_token_id = model.generation_config.eos_token_id = tokenizer.eos_token_id
    prompts = ours.prompts()
    lengths = [len(tokenizer(prompt)["input_ids"]) for prompt in prompts]
    turns = TakingTurns(ours)
    rows = options.tasks * options.group
    at_once = options.rows or max(1, ours.settings.micro_batch_tokens // max(lengths))
    batch = max(n for n in range(1, rows + 1) if rows % n == 0 and n <= at_once)
    config = GRPOConfig(
        output_dir=str(scratch),
        max_steps=ours.settings.steps,
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=rows // batch,
        num_generations=options.group,
        max_completion_length=ANSWER_TOKENS,
        temperature=1.0,
        beta=0.0,
        num_iterations=1,
        learning_rate=1e-6,
        adam_beta2=0.95,
        use_cpu=True,
        bf16=options.precision == "bfloat16",
        gradient_checkpointing=False,
        shuffle_dataset=False,
        report_to="none",
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    trainer = GRPOTrainer(
        model=model,
        reward_funcs=turns.reward,
        args=config,
        train_dataset=Dataset.from_list([{"prompt": prompt} for prompt in prompts]),
        processing_class=tokenizer,
        callbacks=[turns],
    )
    print(
        f"model: {sum(p.numel() for p in model.parameters()) / 1e6:.1f} million parameters; "
        f"{options.tasks} prompts of {min(lengths)} to {max(lengths)} tokens, {options.group} "
        f"answers each, {batch} rows in one forward pass of TRL, {options.precision}, "
        f"{torch.get_num_threads()} threads",
        flush=True,
    )
    trainer.train()
    for step in range(ours.settings.steps):  # the prompts of a step are those of its answers
        turns.side.tokens[step] += options.group * sum(
            lengths[step * options.tasks : (step + 1) * options.tasks]
        )
    return turns


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    shipped = ROOT / "baselines" / "weights" / "minesweeper" / "supervised"
    parser.add_argument("--start", type=Path, default=shipped, help="folder of a small policy")
    parser.add_argument("--width", type=int, default=0, help="a random model of this width instead")
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--tasks", type=int, default=8, help="prompts in a step")
    parser.add_argument("--group", type=int, default=24, help="answers to each")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rows", type=int, default=0, help="of TRL in one forward pass")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as scratch:
        start = options.start
        if options.width:
            start = Path(scratch) / "start"
            tokenizer = build_tokenizer()
            size = ModelSize(options.width, options.layers, options.width // 64, 3 * options.width)
            save_policy(build_model(tokenizer, size, seed=0), tokenizer, start, {})
        turns = train_both(start, options, Path(scratch) / "trl")
    ours, theirs = turns.ours, turns.side
    for side in (ours.side, theirs):
        print(
            f"{side.name}: {side.rate():.0f} tokens/s, {side.processor_rate():.0f} per second of "
            f"processor time; a step takes {statistics.median(side.seconds[WARMUP_STEPS:]):.2f} s "
            f"(median) and has {statistics.mean(side.tokens[WARMUP_STEPS:]):.0f} tokens"
        )
    share = statistics.mean(ours.rollout_shares[WARMUP_STEPS:])
    print(
        f"ratio: {ours.side.rate() / theirs.rate():.2f} by the clock, "
        f"{ours.side.processor_rate() / theirs.processor_rate():.2f} by processor time; "
        f"rollouts take {share:.0%} of our steps; {gpu_use()}"
    )


def gpu_use() -> str:
    """What a GPU does, which a small policy leaves alone."""
    if not torch.cuda.is_available():
        return "no GPU"
    try:
        return f"the GPU was in use for {torch.cuda.utilization()} % of the last second"
    except (ImportError, RuntimeError):
        return "nvidia-ml-py, which knows how much the GPU was in use, is not installed"


if __name__ == "__main__":
    main()
