"""Agents that are small trained language models: text in, text out, no torch.

One class plays all trained policies that ship; they differ in their weights only. What an agent
learnt in its trial is in its reflections; the weights never change during a run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

from tokenizers import Tokenizer

from baselines.adapters import weight_files
from baselines.models import Generation, SmallModel, decode, load_tokenizer
from baselines.prompts import CLOSING_TAGS, compact, spoken
from lamer_bench.agent import Agent, Answer, Memory, View
from lamer_bench.errors import AgentError

WEIGHTS = Path(__file__).parent / "weights"
SHIPPED_TEMPERATURE = 0.3
"""Chosen on val tasks (recipes/choose_temperature.py): with a memory, few errors are worth more
than variety."""
MAX_ANSWER_TOKENS = {"act": 8, "reflect": 80}


class Written(NamedTuple):
    """An answer, and the tokens behind it."""

    answer: Answer
    prompt: list[int]
    generation: Generation


class Generator(Protocol):
    """What samples tokens: `SmallModel`, and its counterpart in training."""

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        streams: Sequence[Random],
        *,
        stop: int,
        max_tokens: int,
        temperature: float = 1.0,
        pads: Sequence[dict[str, Any]] | None = None,
    ) -> list[Generation]:
        """See `SmallModel.generate`."""


def write(
    model: Generator,
    tokenizer: Tokenizer,
    views: Sequence[View],
    kind: Literal["act", "reflect"],
    temperature: float,
) -> list[Written]:
    """Answer views with a model, each from its own stream; evaluation and training both do."""
    encoded = tokenizer.encode_batch([compact(view, kind) for view in views])
    prompts = [encoding.ids for encoding in encoded]
    stop = tokenizer.token_to_id(CLOSING_TAGS[kind])
    assert stop is not None, "a small policy's tokenizer has the tags"
    generations = model.generate(
        prompts,
        [view.rng for view in views],
        stop=stop,
        max_tokens=MAX_ANSWER_TOKENS[kind],
        temperature=temperature,
        pads=[view.state for view in views],
    )
    return [
        Written(
            Answer(
                spoken(view, kind, decode(tokenizer, generation.tokens)),
                prompt_tokens=len(prompt),
                answer_tokens=len(generation.tokens),
            ),
            prompt,
            generation,
        )
        for view, prompt, generation in zip(views, prompts, generations, strict=True)
    ]


class LanguageAgent(Agent):
    """A small language model as an agent.

    Its answer to a board is ``<action>...</action>``; after a failed attempt it writes itself a
    ``<remark>...</remark>``, which with the memory ``reflection`` is all that the next attempt's
    prompt holds of the earlier ones. It can be given any memory; what it was trained with stands in
    its folder's training.json.
    """

    memories: ClassVar[Sequence[Memory]] = ("reflection", "none", "history", "both")

    def __init__(self, folder: str | Path, temperature: float = 1.0) -> None:
        self.folder = Path(folder)
        self.temperature = temperature
        """Of the sampling; 0 is greedy. Range 0 and up."""
        self._model: SmallModel | None = None
        self._tokenizer: Tokenizer | None = None

    def settings(self) -> dict[str, Any]:
        digest = hashlib.sha256()
        for file in weight_files(self._folder()):
            digest.update(file.read_bytes())
        return {
            "temperature": self.temperature,
            "max_answer_tokens": MAX_ANSWER_TOKENS,
            "weights_sha256": digest.hexdigest(),
        }

    def prepare(self, environment: str) -> None:
        folder = self._folder()
        if not all(file.exists() for file in weight_files(folder)):
            raise AgentError(
                f"There are no weights in {folder}; train them with `lamer-bench train`."
            )
        self._model = SmallModel.from_folder(folder)
        self._tokenizer = load_tokenizer(folder)

    def act(self, views: Sequence[View]) -> list[Answer]:
        return self._write(views, "act")

    def reflect(self, views: Sequence[View]) -> list[Answer]:
        return self._write(views, "reflect")

    def _folder(self) -> Path:
        return self.folder

    def _write(self, views: Sequence[View], kind: Literal["act", "reflect"]) -> list[Answer]:
        if self._model is None or self._tokenizer is None:
            self.prepare(views[0].environment)
        assert self._model is not None
        assert self._tokenizer is not None
        texts = write(self._model, self._tokenizer, views, kind, self.temperature)
        return [text.answer for text in texts]


class ShippedAgent(LanguageAgent):
    """A trained policy that ships with the package, one folder of weights for each family."""

    algorithm: ClassVar[str]

    def __init__(self, temperature: float = SHIPPED_TEMPERATURE) -> None:
        super().__init__(WEIGHTS, temperature)
        self._family = ""

    def prepare(self, environment: str) -> None:
        family = environment.rpartition("-")[0]
        self._family = family.removesuffix("-browser")  # the same tasks through another door
        shipped = sorted(folder.parent.name for folder in WEIGHTS.glob(f"*/{self.algorithm}"))
        if self._family not in shipped:
            raise AgentError(
                f"The shipped agent {self.algorithm!r} was not trained for {self._family!r}, only "
                f"for {', '.join(shipped) or 'nothing yet'}. Train one with `lamer-bench train`."
            )
        super().prepare(environment)

    def _folder(self) -> Path:
        return WEIGHTS / self._family / self.algorithm


class LamerAgent(ShippedAgent):
    """Trained with cross-episode returns and reflections (LaMer, arXiv 2512.16848)."""

    name: ClassVar[str] = "lamer"
    algorithm: ClassVar[str] = "lamer"


class SupervisedAgent(ShippedAgent):
    """The supervised start that the others were trained from: demonstrations only, no
    reinforcement."""

    name: ClassVar[str] = "supervised"
    algorithm: ClassVar[str] = "supervised"


class SingleEpisodeAgent(ShippedAgent):
    """Trained on single episodes: its attempts are independent of each other unless it is given a
    memory."""

    memories: ClassVar[Sequence[Memory]] = ("none", "reflection", "history", "both")


class PpoAgent(SingleEpisodeAgent):
    """Trained by PPO with a value head (arXiv 1707.06347)."""

    name: ClassVar[str] = "ppo"
    algorithm: ClassVar[str] = "ppo"


class RlooAgent(SingleEpisodeAgent):
    """Trained by RLOO (arXiv 2402.14740)."""

    name: ClassVar[str] = "rloo"
    algorithm: ClassVar[str] = "rloo"


class GrpoAgent(SingleEpisodeAgent):
    """Trained by GRPO (arXiv 2402.03300)."""

    name: ClassVar[str] = "grpo"
    algorithm: ClassVar[str] = "grpo"


class GigpoAgent(SingleEpisodeAgent):
    """Trained by GiGPO (arXiv 2505.10978)."""

    name: ClassVar[str] = "gigpo"
    algorithm: ClassVar[str] = "gigpo"
