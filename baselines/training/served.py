"""Rollouts on a server: vLLM samples, the training learns, adapters carry the weights over.

Before each rollout the adapters are written into the training's folder and loaded into the server
under a name that was never used before, so that nothing it remembers of former weights (its prefix
cache goes by names) can be mixed in. Prompts and answers cross as token ids: what was sampled is
what is learnt. The server rounds in its own way; so the learner computes the log-probabilities of
the sampled tokens itself before it updates.
"""

from __future__ import annotations

import json
import secrets
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from baselines.endpoint import Endpoint, Failure
from baselines.endpoint_settings import EndpointSettings
from baselines.local_model import LocalModel
from baselines.models import Generation
from baselines.prompts import Message
from baselines.training import distributed, lora
from baselines.training.chat_policy import ChatPolicy, ChatWriter
from baselines.training.distributed import Processes
from baselines.training.rollouts import Writer
from lamer_bench.errors import AgentError, SettingError

IN_FLIGHT = 256
"""Requests at a time from each process; the server queues what it cannot batch."""
ANSWER_SECONDS = 900.0
"""For one answer, its place in the server's queue included."""
ROLLOUT_SECONDS = 24 * 3600.0
WAY_OUT = (
    "Start it as: VLLM_ALLOW_RUNTIME_LORA_UPDATING=True vllm serve MODEL --enable-lora "
    "--max-lora-rank RANK, where it can read the training's --out folder."
)

_Made = TypeVar("_Made")


class Server:
    """A server that samples a training's rollouts."""

    def __init__(
        self, endpoint: Endpoint, policy: ChatPolicy, folder: Path, processes: Processes
    ) -> None:
        """``folder``: where adapters are written; the server must see it under the same path."""
        self.endpoint = endpoint
        self.policy = policy
        self.folder = folder.resolve()
        self.processes = processes
        self._session = processes.told(secrets.token_hex(4))
        self._loaded = ""

    @classmethod
    def connect(cls, settings: Any, policy: Any, out: Path, processes: Processes) -> Server:
        """The server of ``settings.rollout_url``; raises `SettingError` for a small policy, which
        no server knows, and `AgentError` for an address that is none."""
        if not isinstance(policy, ChatPolicy):
            raise SettingError(
                "rollout_url is for chat models; a small policy samples faster by itself."
            )
        options = EndpointSettings(
            base_url=settings.rollout_url,
            model=settings.start,
            in_flight=IN_FLIGHT,
            timeout_seconds=ANSWER_SECONDS,
        )
        return cls(Endpoint(options), policy, out / "rollout", processes)

    def writer(self, step: int) -> Writer:
        """Who answers with the weights as they are now; raises `AgentError` where the server does
        not take them."""
        name = f"lamer-bench-{self._session}-{step}"
        base = self.policy.model.config.name_or_path
        is_main = self.processes.is_main
        lora.save_adapter(self.policy.model, self.folder / name, base, distributed.whole, is_main)
        if is_main:
            try:
                self._tell("load_lora_adapter", lora_name=name, lora_path=str(self.folder / name))
            except AgentError as error:
                raise AgentError(f"{error}. The server takes no adapters. {WAY_OUT}") from error
        self.forget()
        self._loaded = name
        self.processes.wait()
        return ChatWriter(self.policy, ServedModel(self.endpoint, name, self.policy))

    def forget(self) -> None:
        """Have the server drop the last adapters, and delete them; one that was started again does
        not know them and refuses, which does no harm."""
        if self._loaded and self.processes.is_main:
            try:
                self._tell("unload_lora_adapter", lora_name=self._loaded)
            except AgentError as error:
                print(f"Adapters {self._loaded} were not unloaded: {error}", file=sys.stderr)
            shutil.rmtree(self.folder / self._loaded)
        self._loaded = ""

    def _tell(self, path: str, **body: str) -> None:
        _all(self.endpoint, path, [body], lambda content: content)


class ServedModel:
    """The adapters of one name at the server, asked as `LocalModel` is."""

    def __init__(self, endpoint: Endpoint, name: str, policy: ChatPolicy) -> None:
        self.endpoint = endpoint
        self.name = name
        self._local = LocalModel(policy.model, policy.tokenizer)

    @property
    def context_tokens(self) -> int | None:
        """Of the model; the server may have been started with fewer, and then refuses."""
        return self._local.context_tokens

    def encode(self, messages: Sequence[Message], thinking: bool = False) -> list[int]:
        """See `LocalModel.encode`."""
        return self._local.encode(messages, thinking)

    def decode(self, tokens: Sequence[int]) -> str:
        """See `LocalModel.decode`."""
        return self._local.decode(tokens)

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        streams: Sequence[Random],
        *,
        max_tokens: int,
        temperature: float = 1.0,
        stop_texts: Sequence[str] = (),
    ) -> list[Generation]:
        """Sample a continuation of each prompt, its seed drawn from its own stream; without
        log-probabilities. Raises `AgentError` where the server gives no answer."""
        asked = {
            "model": self.name,
            "max_tokens": max_tokens,
            "temperature": temperature,
            # a server takes these from the model's own generation settings unless they are said
            "top_p": 1.0,
            "top_k": -1,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "stop": list(stop_texts),
            "stop_token_ids": sorted(self._local.end_tokens),
            "return_token_ids": True,
        }
        bodies = [
            {**asked, "prompt": list(prompt), "seed": stream.getrandbits(31)}
            for prompt, stream in zip(prompts, streams, strict=True)
        ]
        found = _all(self.endpoint, "completions", bodies, read_tokens)
        return [Generation(tokens, []) for tokens in found]


def read_tokens(content: bytes) -> list[int]:
    """The token ids of the first choice; raises `Failure` where there are none."""
    try:
        tokens = json.loads(content)["choices"][0]["token_ids"]
    except (ValueError, LookupError, TypeError, RecursionError):
        tokens = None
    if not tokens or not all(isinstance(token, int) for token in tokens):
        raise Failure(
            "no token ids in its reply (return_token_ids). vLLM gives them from version 0.10.2 on"
        )
    return list(tokens)


def _all(
    endpoint: Endpoint,
    path: str,
    bodies: Sequence[Mapping[str, Any]],
    read: Callable[[bytes], _Made],
) -> list[_Made]:
    """All replies; raises the first error among them."""
    made = []
    for reply in endpoint.ask(path, bodies, read, ROLLOUT_SECONDS):
        if isinstance(reply, AgentError):
            raise reply
        made.append(reply)
    return made
