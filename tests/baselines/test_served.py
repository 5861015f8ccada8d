"""Rollouts on a server: a fake vLLM that really loads the adapters it is told of, with peft."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is in the [train] extra")
pytest.importorskip("httpx2", reason="httpx2 is in the [api] extra")

import torch

from baselines.local_model import LocalModel
from baselines.training.chat_policy import start_policy
from baselines.training.credit import Credit
from baselines.training.distributed import ALONE
from baselines.training.lamer import LamerSettings, credit
from baselines.training.loop import train
from baselines.training.rollouts import Rollout
from baselines.training.served import ServedModel, Server
from lamer_bench.errors import AgentError, SettingError
from tests.baselines.test_chat_policy import CPU, first_view, lamer_settings, spread
from tests.baselines.tiny_chat import tiny_chat
from tests.chat_server import ChatServer, Received, Reply


class FakeVllm:
    """Plays the part of vLLM's protocol that a training needs: token ids in and out, adapters by
    name."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.adapters: dict[str, LocalModel] = {}
        self.loaded: list[str] = []
        self.is_locked = False
        self.gives_ids = True

    def answer(self, received: Received) -> Reply:
        """One request."""
        body = received.body
        path = received.path.removeprefix("/v1/")
        if path == "completions":
            return self._complete(body)
        if self.is_locked:
            return Reply(b'{"detail": "Not Found"}', status=404)
        name = body["lora_name"]
        if path == "unload_lora_adapter":
            if name not in self.adapters:
                return Reply(b'{"error": {"message": "cannot be found"}}', status=404)
            del self.adapters[name]
            return Reply(b"Success: unloaded")
        assert path == "load_lora_adapter"
        if name in self.loaded:
            return Reply(b'{"error": {"message": "has already been loaded"}}', status=400)
        self.loaded.append(name)
        self.adapters[name] = LocalModel.load(body["lora_path"], device="cpu", dtype="float32")
        return Reply(b"Success: loaded")

    def _complete(self, body: dict[str, Any]) -> Reply:
        model = self.adapters[body["model"]]
        assert set(body["stop_token_ids"]) == model.end_tokens
        (made,) = model.generate(
            [body["prompt"]],
            [Random(body["seed"])],
            max_tokens=body["max_tokens"],
            temperature=body["temperature"],
            stop_texts=body["stop"],
        )
        choice = {"text": model.decode(made.tokens)}
        if self.gives_ids:
            choice["token_ids"] = made.tokens
        return Reply(json.dumps({"choices": [choice]}).encode())


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_chat(tmp_path_factory.mktemp("chat"))


def settings(start: Path, url: str, **given: Any) -> LamerSettings:
    return lamer_settings(start, **{"lora_rank": 4, "rollout_url": url, **given})


def test_a_server_answers_with_the_weights_as_they_are_now(start: Path, tmp_path: Path) -> None:
    vllm = FakeVllm(start)
    views = [first_view(repeat) for repeat in range(6)]
    said = []
    with ChatServer(vllm.answer).running() as server:
        given = settings(start, server.base_url)
        policy = start_policy(given, CPU)
        there = Server.connect(given, policy, tmp_path, ALONE)
        for step in range(2):
            here = policy.writer().write(views, "act", 0.0)
            written = there.writer(step).write(views, "act", 0.0)
            assert [w.generation.tokens for w in written] == [w.generation.tokens for w in here]
            assert [w.answer.text for w in written] == [w.answer.text for w in here]
            assert not any(w.generation.log_probabilities for w in written)
            said.append([w.answer.text for w in written])
            shift(policy)
        there.forget()
    assert said[0] != said[1]
    assert len(set(vllm.loaded)) == 2
    assert vllm.adapters == {}
    assert list((tmp_path / "rollout").iterdir()) == []


def shift(policy: Any) -> None:
    """Train a little, so that the greedy answers change."""
    with torch.no_grad():
        for number, parameter in enumerate(policy.parameters()):
            parameter += 0.3 * torch.randn(
                parameter.shape, generator=torch.Generator().manual_seed(number)
            )


def test_a_training_rolls_out_on_the_server_and_learns_from_its_tokens(
    start: Path, tmp_path: Path
) -> None:
    vllm = FakeVllm(start)
    with ChatServer(vllm.answer).running() as server:
        folder = train(settings(start, server.base_url), spread, tmp_path / "out")
        asked = [one for one in server.received if one.path == "/v1/completions"]
    assert (folder / "adapter" / "adapter_model.safetensors").exists()
    log = [
        json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()
    ]
    assert [line["step"] for line in log] == [1, 2]
    # the learner's own log-probabilities of the tokens: the first minibatch is on policy
    assert all(line["ratio_error"] < 1e-4 for line in log)
    seeds = {(one.body["seed"], tuple(one.body["prompt"])) for one in asked}
    assert len(seeds) == len(asked) > 8
    assert len({one.body["model"] for one in asked}) == 2


def test_a_server_that_was_started_again_does_not_end_the_training(
    start: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vllm = FakeVllm(start)

    def starts_again(rollout: Rollout, chosen: Any) -> Credit:
        vllm.adapters.clear()
        return spread(rollout, chosen)

    with ChatServer(vllm.answer).running() as server:
        folder = train(settings(start, server.base_url), starts_again, tmp_path / "out")
    assert (folder / "adapter" / "adapter_model.safetensors").exists()
    assert len(vllm.loaded) == 2
    assert capsys.readouterr().err.count("were not unloaded") == 2
    assert list((tmp_path / "out" / "rollout").iterdir()) == []


def test_a_served_row_is_updated_like_one_that_was_sampled_here(
    start: Path, tmp_path: Path
) -> None:
    vllm = FakeVllm(start)
    with ChatServer(vllm.answer).running() as server:
        given = settings(start, server.base_url)
        policy = start_policy(given, CPU)
        there = Server.connect(given, policy, tmp_path, ALONE)
        model = there.writer(0).model  # type: ignore[attr-defined]
        assert isinstance(model, ServedModel)
        prompt = model.encode([{"role": "user", "content": "plan"}])
        seed = Random(5).getrandbits(31)
        (served,) = model.generate([prompt], [Random(5)], max_tokens=4)
        (here,) = LocalModel(policy.model, policy.tokenizer).generate(
            [prompt], [Random(seed)], max_tokens=4
        )
    assert served.tokens == here.tokens


@pytest.mark.parametrize(
    ("fault", "words"),
    [("is_locked", "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"), ("gives_ids", "return_token_ids")],
)
def test_a_server_that_cannot_do_it_stops_the_training_with_one_line(
    start: Path, tmp_path: Path, fault: str, words: str
) -> None:
    vllm = FakeVllm(start)
    setattr(vllm, fault, not getattr(vllm, fault))
    with (
        ChatServer(vllm.answer).running() as server,
        pytest.raises(AgentError, match=words) as raised,
    ):
        train(settings(start, server.base_url), credit, tmp_path / "out")
    assert "\n" not in str(raised.value)


def test_a_server_that_is_not_there_stops_the_training_with_one_line(
    start: Path, tmp_path: Path
) -> None:
    with pytest.raises(AgentError, match="cannot connect"):
        train(settings(start, "http://127.0.0.1:9/v1"), credit, tmp_path / "out")


def test_a_server_needs_adapters_and_a_chat_model(start: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="lora_rank"):
        settings(start, "http://127.0.0.1:9/v1", lora_rank=0)
    small = Path("baselines/weights/minesweeper/supervised")
    given = settings(small, "http://127.0.0.1:9/v1")
    with pytest.raises(SettingError, match="for chat models"):
        train(given, credit, tmp_path / "out")
