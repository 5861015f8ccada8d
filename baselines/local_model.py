"""LocalModel: any Hugging Face causal language model in this process, from a folder or a hub name.

Prompts are read in batches with a key-value cache. Equal prompts are read once, and what all
prompts of a batch begin with (the page of rules) is read once for all of them: its cache is copied,
the rest of each prompt is padded on the left. Each row is sampled from its own stream by the
inverse distribution function, as `SmallModel` does, and leaves the batch when it is finished.

Sums are taken in another order in another batch. In float64 on a CPU that never shows; in a shorter
type or on a GPU a sampled token can differ now and then, and `is_deterministic` says so.
"""

from __future__ import annotations

import hashlib
import inspect
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, Literal, NamedTuple

import torch
from jinja2 import TemplateError
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from baselines.adapters import ADAPTER_FILE, base_name
from baselines.models import Generation
from baselines.prompts import CLOSING_TAGS, Message
from lamer_bench.errors import AgentError, MissingExtraError, SettingError

Device = Literal["auto", "cpu", "cuda", "mps"]
Dtype = Literal["auto", "float64", "float32", "bfloat16", "float16"]
TOKENS_AT_ONCE = 32_768
"""Tokens in the cache at a time, prompts and answers together: about 5 GB for a model of 4 billion
parameters in bfloat16."""
LEAST_SHARED = 16
"""A shorter common beginning is not worth a pass of its own."""


class LocalModel:
    """A causal language model and its tokenizer, and how they are asked."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        top_p: float = 1.0,
        top_k: int = 0,
        tokens_at_once: int = TOKENS_AT_ONCE,
    ) -> None:
        """``top_p``: sample from the likeliest tokens that hold this share, 0..1; ``top_k``: from
        at most so many tokens, 0 for all."""
        self.model = model
        self.tokenizer = tokenizer
        self.top_p = top_p
        self.top_k = top_k
        self.tokens_at_once = tokens_at_once
        self.end_tokens = _end_tokens(model, tokenizer)
        self._arguments = inspect.signature(model.forward).parameters
        if "past_key_values" not in self._arguments:
            kind = type(model).__name__
            raise SettingError(f"{kind} keeps no key-value cache; give a model with attention.")
        self._shares_beginnings = _attends_to_all(model) and "position_ids" in self._arguments

    @classmethod
    def load(
        cls,
        name: str | Path,
        *,
        device: Device = "auto",
        dtype: Dtype = "auto",
        top_p: float = 1.0,
        top_k: int = 0,
        tokens_at_once: int = TOKENS_AT_ONCE,
    ) -> LocalModel:
        """Read a folder (a model, or an adapter beside the model it belongs to) or a hub name;
        raises `SettingError`."""
        where = choose_device(device)
        loaded = load_pretrained(name, where, choose_dtype(dtype, where))
        return cls(*loaded, top_p=top_p, top_k=top_k, tokens_at_once=tokens_at_once)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        weight: torch.Tensor = next(self.model.parameters())
        return weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        weight: torch.Tensor = next(self.model.parameters())
        return weight.dtype

    @property
    def is_deterministic(self) -> bool:
        """True when an answer does not depend on its batch."""
        return self.device.type == "cpu" and self.dtype == torch.float64

    @property
    def small_tokenizer(self) -> Tokenizer | None:
        """The tokenizer of a small policy of `lamer-bench train`; None for any other model."""
        inner = getattr(self.tokenizer, "backend_tokenizer", None)
        return inner if inner is not None and is_small(inner) else None

    @property
    def context_tokens(self) -> int | None:
        """Prompt and answer together hold at most so many; None where the model does not say."""
        most = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        return most if isinstance(most, int) else None

    def encode(self, messages: Sequence[Message], thinking: bool = False) -> list[int]:
        """Messages as tokens in the tokenizer's chat template, or as plain text where it has none.

        ``thinking`` is handed to the template (``enable_thinking``), which may know nothing of it.
        """
        return encode(self.tokenizer, messages, thinking)

    def decode(self, tokens: Sequence[int]) -> str:
        """Tokens as text, without special ones."""
        text: str = self.tokenizer.decode(tokens, skip_special_tokens=True)
        return text

    @torch.inference_mode()
    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        streams: Sequence[Random],
        *,
        stop: int | None = None,
        max_tokens: int,
        temperature: float = 1.0,
        pads: Sequence[dict[str, Any]] | None = None,
        stop_texts: Sequence[str] = (),
    ) -> list[Generation]:
        """Sample a continuation of each prompt, each from its own stream; temperature 0 is greedy.

        A row ends with the token ``stop``, where none is given with the model's own end tokens, and
        after a text of ``stop_texts``; the tokens that end it are part of the result. ``pads`` are
        not needed: nothing is kept between two calls.
        """
        stops = self.end_tokens if stop is None else frozenset([stop])
        results = [Generation([], []) for _ in prompts]
        for part in self._parts(prompts, max_tokens):
            rows = [row for _, rows in part for row in rows]
            batch = self._read([prompt for prompt, _ in part], [len(rows) for _, rows in part])
            for length in range(1, max_tokens + 1):
                draws = torch.tensor(
                    [streams[row].random() for row in rows], dtype=torch.float64, device=self.device
                )
                chosen, values = sample(batch.logits, draws, temperature, self.top_p, self.top_k)
                if values.isnan().any():
                    raise AgentError("The model's logits are not finite; try another dtype.")
                for row, token, value in zip(rows, chosen.tolist(), values.tolist(), strict=True):
                    results[row].tokens.append(token)
                    results[row].log_probabilities.append(value)
                going = [
                    number
                    for number, row in enumerate(rows)
                    if not self._is_finished(results[row].tokens, stops, stop_texts)
                ]
                if not going or length == max_tokens:
                    break
                if len(going) < len(rows):
                    index = torch.tensor(going, device=self.device)
                    batch.keep(index)
                    rows, chosen = [rows[number] for number in going], chosen[index]
                self._go_on(batch, chosen)
        return results

    def _parts(
        self, prompts: Sequence[Sequence[int]], max_tokens: int
    ) -> Iterator[list[tuple[tuple[int, ...], list[int]]]]:
        """Cut prompts, those of alike length together, into what is read at once: each different
        prompt with the rows that it belongs to."""
        equal: dict[tuple[int, ...], list[int]] = {}
        for row, prompt in enumerate(prompts):
            equal.setdefault(tuple(prompt), []).append(row)
        part: list[tuple[tuple[int, ...], list[int]]] = []
        num_rows = 0
        for prompt, rows in sorted(equal.items(), key=lambda item: len(item[0])):
            most = max(1, self.tokens_at_once // (len(prompt) + max_tokens))
            for start in range(0, len(rows), most):
                some = rows[start : start + most]
                if part and num_rows + len(some) > most:
                    yield part
                    part, num_rows = [], 0
                part.append((prompt, some))
                num_rows += len(some)
        if part:
            yield part

    def _read(self, prompts: Sequence[tuple[int, ...]], repeats: Sequence[int]) -> _Batch:
        """Read different prompts once, and repeat what was read for their rows."""
        shared = _num_shared(prompts) if self._shares_beginnings else 0
        cache = None
        if len(prompts) > 1 and shared >= LEAST_SHARED:
            beginning = torch.tensor([prompts[0][:shared]], device=self.device)
            cache = self._forward(beginning, torch.ones_like(beginning)).past_key_values
            cache.batch_repeat_interleave(len(prompts))
        else:
            shared = 0
        longest = max(map(len, prompts)) - shared
        tokens = torch.zeros(len(prompts), longest, dtype=torch.long)
        mask = torch.ones(len(prompts), shared + longest, dtype=torch.long)
        for number, prompt in enumerate(prompts):
            num_padding = shared + longest - len(prompt)
            tokens[number, num_padding:] = torch.tensor(prompt[shared:])
            mask[number, shared : shared + num_padding] = 0
        mask = mask.to(self.device)
        output = self._forward(tokens.to(self.device), mask, cache)
        batch = _Batch(output.past_key_values, mask, output.logits[:, -1])
        if max(repeats) > 1:
            numbers = torch.arange(len(prompts), device=self.device)
            batch.keep(numbers.repeat_interleave(torch.tensor(repeats, device=self.device)))
        return batch

    def _go_on(self, batch: _Batch, chosen: torch.Tensor) -> None:
        """Read one more token of each row."""
        batch.mask = torch.cat([batch.mask, torch.ones_like(batch.mask[:, :1])], dim=1)
        output = self._forward(chosen[:, None], batch.mask, batch.cache)
        batch.cache, batch.logits = output.past_key_values, output.logits[:, -1]

    def _forward(self, tokens: torch.Tensor, mask: torch.Tensor, cache: Any = None) -> Any:
        """Read ``tokens`` (B, T) after what ``cache`` holds; ``mask`` (B, past + T) is 0 at
        padding."""
        inputs: dict[str, Any] = {
            "input_ids": tokens,
            "attention_mask": mask,
            "past_key_values": cache,
            "use_cache": True,
        }
        if "position_ids" in self._arguments:
            positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
            inputs["position_ids"] = positions[:, -tokens.shape[1] :]
        if "logits_to_keep" in self._arguments:
            inputs["logits_to_keep"] = 1
        return self.model(**inputs)

    def _is_finished(
        self, tokens: Sequence[int], stops: frozenset[int], stop_texts: Sequence[str]
    ) -> bool:
        if tokens[-1] in stops:
            return True
        if not stop_texts:
            return False
        tail = self.tokenizer.decode(tokens[-max(map(len, stop_texts)) :])
        return any(text in tail for text in stop_texts)


class _Batch:
    """Rows that are being answered: what was read of them, and the logits after it."""

    def __init__(self, cache: Any, mask: torch.Tensor, logits: torch.Tensor) -> None:
        self.cache = cache
        self.mask = mask  # (B, T), 0 at padding
        self.logits = logits  # (B, V)

    def keep(self, index: torch.Tensor) -> None:
        """Keep or repeat the rows at ``index``."""
        self.cache.reorder_cache(index)
        self.mask, self.logits = self.mask[index], self.logits[index]


def sample(
    logits: torch.Tensor,
    draws: torch.Tensor,
    temperature: float,
    top_p: float = 1.0,
    top_k: int = 0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens by inverse distribution function, and their log-probabilities at that temperature, at
    1 where it is 0, over all tokens.

    Shapes: logits (B, V), draws (B,) uniform in [0, 1) -> (B,), (B,). Tokens beyond ``top_k`` are
    left out first, then those beyond the share ``top_p`` of what is left.
    """
    logits = logits if logits.dtype == torch.float64 else logits.float()
    logits = logits / (temperature or 1.0)
    log_probabilities = torch.log_softmax(logits, dim=1)
    if temperature == 0.0:
        chosen = logits.argmax(dim=1)
    else:
        weights = torch.softmax(logits, dim=1)
        order = None
        if top_k or top_p < 1.0:
            size = weights.shape[1]
            weights, order = weights.topk(min(top_k or size, size), dim=1)
            before = weights.cumsum(dim=1) - weights
            weights = weights.masked_fill(before >= top_p * weights.sum(1, keepdim=True), 0.0)
        cumulative = weights.cumsum(dim=1)
        last = cumulative[:, -1]
        below = torch.nextafter(last, torch.zeros_like(last))  # a draw may be rounded to 1
        thresholds = torch.minimum(draws.to(last.dtype) * last, below)
        chosen = torch.searchsorted(cumulative, thresholds[:, None], right=True)[:, 0]
        chosen = chosen.clamp(max=cumulative.shape[1] - 1)  # it is beyond where weights are NaN
        chosen = chosen if order is None else order.gather(1, chosen[:, None])[:, 0]
    return chosen, log_probabilities.gather(1, chosen[:, None])[:, 0]


def encode(tokenizer: Any, messages: Sequence[Message], thinking: bool = False) -> list[int]:
    """See `LocalModel.encode`."""
    if not getattr(tokenizer, "chat_template", None):
        text = "\n\n".join(message["content"] for message in messages) + "\n\n"
        return list(tokenizer(text)["input_ids"])
    try:
        return _templated(tokenizer, messages, thinking)
    except TemplateError:  # some templates know no system message
        joined = "\n\n".join(message["content"] for message in messages)
        return _templated(tokenizer, [{"role": "user", "content": joined}], thinking)


def _templated(tokenizer: Any, messages: Sequence[Message], thinking: bool) -> list[int]:
    return list(
        tokenizer.apply_chat_template(
            list(messages),
            add_generation_prompt=True,
            enable_thinking=thinking,
            tokenize=True,
            return_dict=False,
        )
    )


def is_small(tokenizer: Tokenizer) -> bool:
    """True for the tokenizer of a small policy: its tokens are words, the closing tags among
    them."""
    tags = CLOSING_TAGS.values()
    is_of_words = isinstance(tokenizer.model, WordLevel)
    return is_of_words and all(tokenizer.token_to_id(tag) is not None for tag in tags)


# Loading -----------------------------------------------------------------------------------------


class Loaded(NamedTuple):
    """A model in evaluation mode, and its tokenizer."""

    model: Any
    tokenizer: Any


def choose_device(device: Device = "auto") -> torch.device:
    """The device of that name, or the fastest there is; raises `SettingError`."""
    has = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        return torch.device(next(name for name, is_there in has.items() if is_there))
    if not has[device]:
        raise SettingError(f"There is no {device} device for torch here. Use auto or cpu.")
    return torch.device(device)


def choose_dtype(dtype: Dtype, device: torch.device) -> torch.dtype:
    """The type of that name; ``auto`` is bfloat16 on a GPU that has it, else float32."""
    if dtype == "auto":
        is_half = device.type == "cuda" and torch.cuda.is_bf16_supported()
        return torch.bfloat16 if is_half else torch.float32
    named: torch.dtype = getattr(torch, dtype)
    return named


def load_pretrained(
    name: str | Path, device: torch.device, dtype: torch.dtype, attention: str = "sdpa"
) -> Loaded:
    """Read a model and its tokenizer; an adapter is merged into the model that it belongs to.

    Raises `SettingError` where there is no model of that name, and `MissingExtraError` where it
    needs a package that is not installed.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir():
        _check_name(str(name))
        return _load(str(name), str(name), device, dtype, attention)
    if not (folder / ADAPTER_FILE).exists():
        if not (folder / "config.json").exists():
            raise SettingError(
                f"There is no model in {folder} (config.json), and no adapter ({ADAPTER_FILE}). "
                "Give a folder in Hugging Face's layout, such as OUT/policy of a training."
            )
        return _load(str(folder), str(folder), device, dtype, attention)
    loaded = load_pretrained(base_of_adapter(folder), device, dtype, attention)
    if (folder / "tokenizer_config.json").exists():
        loaded = loaded._replace(tokenizer=AutoTokenizer.from_pretrained(str(folder)))
    return loaded._replace(model=_merged(loaded.model, folder))


def base_of_adapter(folder: Path) -> str:
    """Folder or name of the model that an adapter was trained on, which may be an adapter, too;
    raises `SettingError`."""
    base = base_name(folder)
    if not Path(base).expanduser().is_dir():
        try:
            _check_name(base)
        except SettingError as error:
            raise SettingError(
                f"The adapter in {folder} belongs to {base!r}, which is not there. Correct "
                f"base_model_name_or_path in its {ADAPTER_FILE}."
            ) from error
    return base


def _merged(model: Any, adapter: Path) -> Any:
    try:
        from peft import PeftModel
    except ImportError as error:
        raise MissingExtraError(
            f"{adapter} is an adapter, and peft is not installed. "
            'Install it: pip install "lamer-bench[train]"'
        ) from error
    with warnings.catch_warnings():
        # peft asks the model for something that transformers has renamed
        warnings.simplefilter("ignore", FutureWarning)
        merged = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload().eval()
    merged.config.name_or_path = str(adapter)
    return merged


def _load(
    name: str, tokens: str, device: torch.device, dtype: torch.dtype, attention: str
) -> Loaded:
    try:
        tokenizer = AutoTokenizer.from_pretrained(tokens)
        model: Any = AutoModelForCausalLM.from_pretrained(
            name, dtype=dtype, attn_implementation=attention
        )
        return Loaded(model.to(device).eval(), tokenizer)
    except torch.OutOfMemoryError as error:
        raise SettingError(
            f"The model {name!r} does not fit into the memory of {device}."
        ) from error
    except Exception as error:
        reason = next(iter(str(error).strip().splitlines()), "")
        raise SettingError(
            f"{name} does not hold a language model that can be loaded: {type(error).__name__}: "
            f"{reason}"
        ) from error


def _check_name(name: str) -> None:
    """Raise `SettingError` unless a model of the hub is in the cache or can be fetched."""
    from huggingface_hub import HfApi, constants

    if not could_be_on_hub(name):
        raise SettingError(
            f"There is no folder {name!r}. Give a folder that holds a model, or a name of the hub "
            "such as Qwen/Qwen3-4B."
        )
    try:
        AutoConfig.from_pretrained(name, local_files_only=True)
        return
    except Exception:
        pass
    try:
        HfApi().model_info(name, timeout=20)
    except Exception as error:
        raise SettingError(
            f"There is no folder {name!r}, no model of that name in {constants.HF_HUB_CACHE}, and "
            f"it cannot be fetched ({type(error).__name__}). Give a folder, or fetch the model "
            f"where there is a network: hf download {name}"
        ) from error


def could_be_on_hub(name: str) -> bool:
    """True for ``owner/name`` in the hub's alphabet, false for other paths."""
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return "/" in name


def weights_digest(name: str | Path) -> str:
    """What names the weights: the SHA-256 of a folder's weight files (an adapter's with its
    model's), or the hub's commit."""
    folder = Path(name).expanduser()
    if not folder.is_dir():
        config = AutoConfig.from_pretrained(str(name), local_files_only=True)
        return str(config._commit_hash)
    digest = hashlib.sha256()
    if (folder / ADAPTER_FILE).exists():
        digest.update(weights_digest(base_of_adapter(folder)).encode())
    for file in sorted([*folder.glob("*.safetensors"), *folder.glob("*.bin")]):
        with file.open("rb") as content:
            while chunk := content.read(2**24):
                digest.update(chunk)
    return digest.hexdigest()


def _end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    """Those of the generation settings, and the tokenizer's."""
    settings = getattr(model, "generation_config", None)
    named = [getattr(settings, "eos_token_id", None), getattr(tokenizer, "eos_token_id", None)]
    tokens: set[int] = set()
    for one in named:
        tokens.update(one if isinstance(one, list | tuple) else [] if one is None else [one])
    return frozenset(tokens)


def _attends_to_all(model: Any) -> bool:
    """True when every layer attends to all that came before, so that padding in the middle, which
    the mask hides, changes nothing."""
    config = model.config.get_text_config()
    layers = getattr(config, "layer_types", None)
    if layers:
        return set(layers) == {"full_attention"}
    is_windowed = bool(getattr(config, "sliding_window", None))
    return not is_windowed and not getattr(model, "_is_stateful", False)


def _num_shared(prompts: Sequence[tuple[int, ...]]) -> int:
    """Tokens that all prompts begin with; the last token of each must still be read."""
    first, last = min(prompts), max(prompts)
    most = min(map(len, prompts)) - 1
    return next((i for i in range(most) if first[i] != last[i]), most)
