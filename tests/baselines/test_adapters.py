"""A shared model and a small file for each policy: NumPy reads what peft wrote."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from baselines.adapters import ADAPTER_FILE, ADAPTER_WEIGHTS, chain, load_weights
from baselines.language_agent import LanguageAgent
from baselines.models import Generation, SmallModel, load_tokenizer
from lamer_bench import Task, TrialPlan, View, make, play
from lamer_bench.errors import LamerBenchError, SettingError

RANK = 3
MATRICES = ("self_attn.q_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.down_proj")
SHIPPED = Path(__file__).parents[2] / "baselines" / "weights" / "minesweeper" / "supervised"


def write_adapter(folder: Path, base: str, seed: int = 0, **config: Any) -> Path:
    """An adapter on the shipped start, as peft lays it out, large enough to matter."""
    rng = np.random.default_rng(seed)
    weights = load_file(SHIPPED / "model.safetensors")
    tensors = {}
    for name in (key.removesuffix(".weight") for key in sorted(weights)):
        if not name.endswith(MATRICES):
            continue
        outputs, inputs = weights[f"{name}.weight"].shape
        for kind, shape in (("A", (RANK, inputs)), ("B", (outputs, RANK))):
            tensors[f"base_model.model.{name}.lora_{kind}.weight"] = rng.normal(
                scale=0.1, size=shape
            ).astype(np.float32)
    folder.mkdir(parents=True)
    save_file(tensors, folder / ADAPTER_WEIGHTS)
    stored = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "target_modules": sorted(matrix.partition(".")[2] for matrix in MATRICES),
        "r": RANK,
        "lora_alpha": 2 * RANK,
        "base_model_name_or_path": base,
        **config,
    }
    (folder / ADAPTER_FILE).write_text(json.dumps(stored), encoding="utf-8")
    return folder


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A folder of weights: the start ``supervised``, and ``lamer``, an adapter on it."""
    shutil.copytree(SHIPPED, tmp_path / "supervised")
    write_adapter(tmp_path / "lamer", "../supervised")
    return tmp_path


def merged(weights: Path) -> Path:
    """The same policy as whole weights, in float64; written without the code under test."""
    folder = weights / "merged"
    shutil.copytree(weights / "supervised", folder)
    whole = load_file(folder / "model.safetensors")
    parts = load_file(weights / "lamer" / ADAPTER_WEIGHTS)
    for name in list(whole):
        key = f"base_model.model.{name.removesuffix('.weight')}"
        if f"{key}.lora_A.weight" in parts:
            down, up = (parts[f"{key}.lora_{kind}.weight"].astype(float) for kind in "AB")
            whole[name] = whole[name].astype(float) + 2.0 * np.einsum("or,ri->oi", up, down)
    save_file(whole, folder / "model.safetensors")
    return folder


def first_view(index: int) -> View:
    plan = TrialPlan(Task("minesweeper-easy", "val", index))
    return next(play(make("minesweeper-easy"), plan)).view


def generations(folder: Path) -> list[Generation]:
    """What a model writes from some boards, by its own tokens, far beyond an answer."""
    tokenizer = load_tokenizer(folder)
    texts = [first_view(index).observation + "\n<remark>" for index in range(6)]
    prompts = [tokenizer.encode(text).ids for text in texts]
    return SmallModel.from_folder(folder).generate(
        prompts, [Random(seed) for seed in range(6)], stop=-1, max_tokens=40
    )


def test_a_model_and_its_adapter_write_what_the_merged_weights_write(weights: Path) -> None:
    apart, whole = generations(weights / "lamer"), generations(merged(weights))
    assert [one.tokens for one in apart] == [one.tokens for one in whole]
    for one, other in zip(apart, whole, strict=True):
        assert np.allclose(one.log_probabilities, other.log_probabilities, atol=1e-9)
    start = generations(weights / "supervised")
    assert [one.tokens for one in apart] != [one.tokens for one in start]


def test_torch_and_peft_say_the_same(weights: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is in the [train] extra")
    pytest.importorskip("peft", reason="peft is in the [train] extra")
    local_model = pytest.importorskip("baselines.local_model")
    loaded = local_model.load_pretrained(weights / "lamer", torch.device("cpu"), torch.float32)
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, loaded.model.config.vocab_size, (5, 60))
    with torch.no_grad():
        expected = loaded.model(torch.from_numpy(tokens)).logits[:, -1].numpy()
    found = SmallModel.from_folder(weights / "lamer").logits(tokens)
    assert np.abs(found - expected).max() < 1e-3
    plain = SmallModel.from_folder(weights / "supervised").logits(tokens)
    assert np.abs(plain - expected).max() > 0.1


def test_an_adapter_on_an_adapter(weights: Path) -> None:
    write_adapter(weights / "later", "../lamer", seed=1)
    names = [folder.name for folder in chain(weights / "later")]
    assert names == ["supervised", "lamer", "later"]
    name = "model.layers.0.mlp.down_proj.weight"
    start, once, twice = (load_weights(weights / f)[name] for f in ("supervised", "lamer", "later"))
    write_adapter(weights / "alone", "../supervised", seed=1)
    alone = load_weights(weights / "alone")[name]
    assert np.allclose(twice - once, alone - start.astype(float))
    assert np.abs(twice - once).max() > 0.01


def test_the_agent_plays_an_adapter_and_its_digest_covers_the_base(weights: Path) -> None:
    views = [first_view(index) for index in range(4)]
    answers = [
        [answer.text for answer in LanguageAgent(folder).act(views)]
        for folder in (weights / "lamer", merged(weights))
    ]
    assert answers[0] == answers[1]
    agent = LanguageAgent(weights / "lamer")
    before = agent.settings()["weights_sha256"]
    base = weights / "supervised" / "model.safetensors"
    stored = load_file(base)
    stored["model.norm.weight"] = stored["model.norm.weight"] * np.float16(1.5)
    save_file(stored, base)
    assert agent.settings()["weights_sha256"] != before


def test_weights_that_are_not_there_are_one_clear_line(weights: Path) -> None:
    (weights / "lamer" / ADAPTER_WEIGHTS).unlink()
    with pytest.raises(LamerBenchError, match="There are no weights in"):
        LanguageAgent(weights / "lamer").prepare("minesweeper-easy")


@pytest.mark.parametrize(
    ("base", "fault"),
    [("../nowhere", "is no folder of another model"), ("", "does not say"), (".", "is no folder")],
)
def test_a_base_that_is_not_there_is_one_clear_line(base: str, fault: str, tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "lamer", base)
    with pytest.raises(SettingError, match=fault):
        load_weights(folder)


@pytest.mark.parametrize(
    "config",
    [{"use_dora": True}, {"use_rslora": True}, {"modules_to_save": ["lm_head"]}, {"bias": "all"}],
)
def test_an_adapter_that_is_more_is_refused(config: dict[str, Any], tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "lamer", str(SHIPPED), **config)
    with pytest.raises(SettingError, match=f"sets {next(iter(config))} to"):
        load_weights(folder)


def rename(old: str, new: str) -> Callable[[str], str]:
    return lambda name: name.replace(old, new)


@pytest.mark.parametrize(
    "changed", [rename("layers.3", "layers.9"), rename("lora_A.weight", "lora_magnitude_vector")]
)
def test_an_adapter_of_another_model_is_refused(
    changed: Callable[[str], str], tmp_path: Path
) -> None:
    folder = write_adapter(tmp_path / "lamer", str(SHIPPED))
    tensors = load_file(folder / ADAPTER_WEIGHTS)
    save_file({changed(n): value for n, value in tensors.items()}, folder / ADAPTER_WEIGHTS)
    with pytest.raises(SettingError, match="the model it belongs to has no such"):
        load_weights(folder)
