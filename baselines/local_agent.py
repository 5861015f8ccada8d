"""LocalAgent: a language model of Hugging Face in this process, as it comes or trained here.

A chat model reads `prompts.chat` in its own template. A small policy of `lamer-bench train` is
known by its word-level tokenizer and reads `prompts.compact`, as it does in training. What needs
torch is imported when a run is prepared.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol

from baselines.language_agent import Written, write
from baselines.models import Generation
from baselines.prompts import CLOSING_TAGS, Message, chat
from lamer_bench.agent import MEMORIES, Agent, Answer, Memory, View
from lamer_bench.errors import AgentError, MissingExtraError, SettingError

if TYPE_CHECKING:
    from baselines.local_model import LocalModel


class ChatSettings(NamedTuple):
    """How a chat model is asked."""

    max_tokens: int = 1024
    """Of an answer."""
    thinking: bool = False
    """Let the model reason before its answer where its template offers that."""


class LocalAgent(Agent):
    """A language model of Hugging Face in this process: a folder, an adapter, or a hub name."""

    name: ClassVar[str] = "local"
    memories: ClassVar[Sequence[Memory]] = ("reflection", "none", "history", "both")
    deterministic = False
    packages: ClassVar[Sequence[str]] = ("torch", "transformers")

    def __init__(
        self,
        model: str,
        device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
        dtype: Literal["auto", "float64", "float32", "bfloat16", "float16"] = "auto",
        temperature: float = 0.7,
        top_p: float = 0.8,
        top_k: int = 20,
        max_tokens: int = 1024,
        thinking: bool = False,
        tokens_at_once: int = 32_768,
    ) -> None:
        """The sampling is that of the LaMer paper's evaluation unless said."""
        self.model = model
        self.device: Any = device
        self.dtype: Any = dtype
        self.temperature = temperature
        self.top_p = top_p
        self.top_k = top_k
        self.chat = ChatSettings(max_tokens, thinking)
        self.tokens_at_once = tokens_at_once
        self._local: LocalModel | None = None
        self._check()
        self._prefer_trained_memory()

    def prepare(self, environment: str) -> None:
        if self._local is None:
            try:
                from baselines.local_model import LocalModel
            except ImportError as error:
                raise MissingExtraError(
                    f"A local model needs packages that are not installed ({error}). "
                    'Install them: pip install "lamer-bench[train]"'
                ) from error
            self._local = LocalModel.load(
                self.model,
                device=self.device,
                dtype=self.dtype,
                top_p=self.top_p,
                top_k=self.top_k,
                tokens_at_once=self.tokens_at_once,
            )
            self.deterministic = self._local.is_deterministic  # type: ignore[misc]

    def settings(self) -> dict[str, Any]:
        self.prepare("")
        assert self._local is not None
        from baselines.local_model import weights_digest

        is_small = self._local.small_tokenizer is not None  # its answers have limits of their own
        return {
            "model": self.model,
            "weights": weights_digest(self.model),
            "device": self._local.device.type,
            "dtype": str(self._local.dtype).removeprefix("torch."),
            "temperature": self.temperature,
            "top_p": self.top_p,
            "top_k": self.top_k,
            **({} if is_small else self.chat._asdict()),
        }

    def act(self, views: Sequence[View]) -> Sequence[Answer | AgentError]:
        return self._write(views, "act")

    def reflect(self, views: Sequence[View]) -> Sequence[Answer | AgentError]:
        return self._write(views, "reflect")

    def _write(
        self, views: Sequence[View], kind: Literal["act", "reflect"]
    ) -> list[Answer | AgentError]:
        self.prepare("")
        assert self._local is not None
        texts: Sequence[Written | AgentError]
        if (small := self._local.small_tokenizer) is not None:
            texts = write(self._local, small, views, kind, self.temperature)
        else:
            texts = write_chat(self._local, views, kind, self.temperature, self.chat)
        return [text.answer if isinstance(text, Written) else text for text in texts]

    def _check(self) -> None:
        """Raise `SettingError` for a value that cannot work."""
        for name, is_sound, right in (
            ("temperature", self.temperature >= 0.0, "0 or more"),
            ("top_p", 0.0 < self.top_p <= 1.0, "above 0 and at most 1"),
            ("top_k", self.top_k >= 0, "0 (all tokens) or more"),
            ("max_tokens", self.chat.max_tokens >= 1, "1 or more"),
            ("tokens_at_once", self.tokens_at_once >= 1, "1 or more"),
        ):
            if not is_sound:
                value = getattr(self, name, self.chat.max_tokens)
                raise SettingError(f"{name} is {value}; it must be {right}.")

    def _prefer_trained_memory(self) -> None:
        """The default memory of a trained policy is the one that it was trained with."""
        file = Path(self.model).expanduser() / "training.json"
        try:
            trained = json.loads(file.read_text(encoding="utf-8")).get("memory")
        except (OSError, ValueError, AttributeError):
            return
        if trained in MEMORIES:
            declared: Any = self
            declared.memories = [trained, *(m for m in self.memories if m != trained)]


class ChatModel(Protocol):
    """What samples for a chat model's prompts: `LocalModel`, or a server in a training."""

    @property
    def context_tokens(self) -> int | None:
        """See `LocalModel.context_tokens`."""

    def encode(self, messages: Sequence[Message], thinking: bool = False) -> list[int]:
        """See `LocalModel.encode`."""

    def decode(self, tokens: Sequence[int]) -> str:
        """See `LocalModel.decode`."""

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        streams: Sequence[Random],
        *,
        max_tokens: int,
        temperature: float = 1.0,
        stop_texts: Sequence[str] = (),
    ) -> list[Generation]:
        """See `LocalModel.generate`."""


def write_chat(
    model: ChatModel,
    views: Sequence[View],
    kind: Literal["act", "reflect"],
    temperature: float,
    settings: ChatSettings,
) -> list[Written | AgentError]:
    """Answer views with a chat model, each from its own stream; an error in the place of each whose
    prompt is too long.

    Without thinking an answer ends with its closing tag; thoughts may well name the tag.
    """
    prompts = [model.encode(chat(view, kind), settings.thinking) for view in views]
    most = model.context_tokens
    fitting = [
        place
        for place, prompt in enumerate(prompts)
        if most is None or len(prompt) + settings.max_tokens <= most
    ]
    generations = model.generate(
        [prompts[place] for place in fitting],
        [views[place].rng for place in fitting],
        max_tokens=settings.max_tokens,
        temperature=temperature,
        stop_texts=() if settings.thinking else (CLOSING_TAGS[kind],),
    )
    texts: list[Written | AgentError] = [
        AgentError(
            f"The prompt has {len(prompt)} tokens; with max_tokens {settings.max_tokens} the model "
            f"has room for {(most or 0) - settings.max_tokens}. Lower max_tokens, or choose a "
            "memory that holds less."
        )
        for prompt in prompts
    ]
    for place, generation in zip(fitting, generations, strict=True):
        answer = Answer(
            model.decode(generation.tokens),
            prompt_tokens=len(prompts[place]),
            answer_tokens=len(generation.tokens),
        )
        texts[place] = Written(answer, prompts[place], generation)
    return texts
