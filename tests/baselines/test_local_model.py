"""A local model samples as its streams say, whoever shares the batch, and the agent plays with
it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from math import log
from pathlib import Path
from random import Random
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is in the [train] extra")

import huggingface_hub
import torch
from transformers import AutoModelForCausalLM, Gemma3TextConfig, GPT2Config

from baselines.language_agent import MAX_ANSWER_TOKENS, WEIGHTS
from baselines.local_agent import LocalAgent
from baselines.local_model import LocalModel, encode, load_pretrained, sample
from baselines.models import SmallModel, load_tokenizer
from baselines.prompts import CLOSING_TAGS, chat, compact
from lamer_bench import Answer, Task, TrialPlan, View, make, play
from lamer_bench.agent import Memory
from lamer_bench.checks import AGENT_CHECKS, check_agent
from lamer_bench.errors import AgentError, LamerBenchError, MissingExtraError, SettingError
from lamer_bench.runner import run
from tests.baselines.tiny_chat import WITHOUT_SYSTEM, tiny_chat, tiny_model, tiny_tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny chat model."""
    return tiny_chat(tmp_path_factory.mktemp("chat"))


@pytest.fixture
def local(folder: Path) -> LocalModel:
    return LocalModel.load(folder, device="cpu", dtype="float64")


def views(memory: Memory = "both", trials: int = 3) -> Iterator[tuple[str, View]]:
    """Every question of trials in which each attempt opens the safe."""
    for index in range(trials):
        plan = TrialPlan(Task("doors-easy", "val", index), memory=memory)
        trial = play(make("tests.toys:Doors-easy"), plan)
        try:
            ask = next(trial)
            while True:
                yield ask.kind, replace(ask.view, turns=tuple(ask.view.turns))
                ask = trial.send(Answer("I try red. <action>red</action><remark>not red</remark>"))
        except StopIteration:
            pass


def prompts(local: LocalModel) -> list[list[int]]:
    return [local.encode(chat(view, kind)) for kind, view in views()]  # type: ignore[arg-type]


def streams(number: int) -> list[Random]:
    return [Random(f"row {index}") for index in range(number)]


def recorded_reads(local: LocalModel, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """(rows, tokens) of every forward pass from now on."""
    reads: list[tuple[int, int]] = []
    forward = local.model.forward

    def counted(**inputs: Any) -> Any:
        reads.append(tuple(inputs["input_ids"].shape))  # type: ignore[arg-type]
        return forward(**inputs)

    monkeypatch.setattr(local.model, "forward", counted)
    return reads


# Sampling ----------------------------------------------------------------------------------------


def test_draws_become_tokens_by_the_inverse_distribution_function() -> None:
    logits = torch.tensor([[log(0.5), log(0.3), log(0.2)]]).repeat(4, 1)
    draws = torch.tensor([0.0, 0.49, 0.51, 0.81])
    chosen, values = sample(logits, draws, 1.0)
    assert chosen.tolist() == [0, 0, 1, 2]
    assert values.tolist() == pytest.approx([log(0.5), log(0.5), log(0.3), log(0.2)], abs=1e-6)


@pytest.mark.parametrize(("top_p", "top_k"), [(0.6, 0), (1.0, 2), (0.99, 2)])
def test_unlikely_tokens_are_left_out_and_the_rest_shares_their_part(
    top_p: float, top_k: int
) -> None:
    # of 0.2, 0.5, 0.3 the two likeliest stay, as 0.625 and 0.375
    logits = torch.tensor([[log(0.2), log(0.5), log(0.3)]]).repeat(4, 1)
    chosen, values = sample(logits, torch.tensor([0.0, 0.62, 0.63, 0.999]), 1.0, top_p, top_k)
    assert chosen.tolist() == [1, 1, 2, 2]
    assert values[0].item() == pytest.approx(log(0.5), abs=1e-6)


def test_temperature_sharpens_and_zero_is_greedy() -> None:
    logits = torch.tensor([[log(0.6), log(0.4)]]).repeat(2, 1)
    # at 1/2 the shares are 0.36 : 0.16, and 0.36 / 0.52 is about 0.692
    assert sample(logits, torch.tensor([0.69, 0.70]), 0.5)[0].tolist() == [0, 1]
    assert sample(logits, torch.tensor([0.99, 0.99]), 0.0)[0].tolist() == [0, 0]


def test_a_draw_that_is_rounded_to_one_finds_a_token_that_is_possible() -> None:
    logits = torch.tensor([[0.0, 0.0, -torch.inf, -torch.inf]])
    assert sample(logits, torch.tensor([1.0 - 1e-12], dtype=torch.float64), 1.0)[0].item() == 1


def test_the_shipped_weights_say_the_same_through_torch_and_through_numpy() -> None:
    folder = WEIGHTS / "minesweeper" / "supervised"
    tokenizer = load_tokenizer(folder)
    env = "minesweeper-hard"
    texts = [
        compact(next(play(make(env), TrialPlan(Task(env, "val", index // 2)))).view, "act")
        for index in range(12)
    ]
    tokens = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    tokens = [prompt[: len(prompt) - index % 3] for index, prompt in enumerate(tokens)]
    stop = tokenizer.token_to_id(CLOSING_TAGS["act"])
    said = []
    for model in (
        SmallModel.from_folder(folder),
        LocalModel.load(folder, device="cpu", dtype="float64"),
    ):
        said.append(
            model.generate(  # type: ignore[attr-defined]
                tokens, streams(12), stop=stop, max_tokens=MAX_ANSWER_TOKENS["act"]
            )
        )
    for numpys, torchs in zip(*said, strict=True):
        assert numpys.tokens == torchs.tokens
        # transformers keeps norms in float32
        assert numpys.log_probabilities == pytest.approx(torchs.log_probabilities, abs=1e-4)


# Batches -----------------------------------------------------------------------------------------

SIZES: dict[str, Any] = {"vocab_size": 320, "pad_token_id": 0, "bos_token_id": None}
WINDOWED = Gemma3TextConfig(
    **SIZES,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=8,
    sliding_window=16,
    layer_types=["sliding_attention", "full_attention"],
    eos_token_id=1,
)
LEARNT_POSITIONS = GPT2Config(
    **SIZES, n_embd=32, n_layer=2, n_head=4, n_positions=2048, eos_token_id=1
)


@pytest.mark.parametrize(
    "config", [None, WINDOWED, LEARNT_POSITIONS], ids=lambda c: type(c).__name__
)
def test_a_batch_with_cache_and_padding_says_what_plain_reading_says(
    config: Any, local: LocalModel
) -> None:
    if config is not None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = AutoModelForCausalLM.from_config(config)
        local = LocalModel(model.to(torch.float64).eval(), tiny_tokenizer())
    asked = prompts(local)
    generations = local.generate(asked, streams(len(asked)), max_tokens=12)
    for index in range(0, len(asked), 3):
        said = generations[index]
        text = torch.tensor([asked[index] + said.tokens])
        with torch.no_grad():
            logits = local.model(text).logits[0].double().log_softmax(-1)
        start = len(asked[index]) - 1
        plain = [logits[start + t, token].item() for t, token in enumerate(said.tokens)]
        assert said.log_probabilities == pytest.approx(plain, abs=1e-6)


def test_an_answer_depends_neither_on_the_batch_nor_on_its_order(local: LocalModel) -> None:
    asked = prompts(local)
    together = local.generate(asked, streams(len(asked)), max_tokens=20)
    alone = [
        local.generate([prompt], [stream], max_tokens=20)[0]
        for prompt, stream in zip(asked, streams(len(asked)), strict=True)
    ]
    local.tokens_at_once = 1500
    backward = local.generate(asked[::-1], streams(len(asked))[::-1], max_tokens=20)[::-1]
    assert [g.tokens for g in together] == [g.tokens for g in alone]
    assert [g.tokens for g in together] == [g.tokens for g in backward]
    assert len({tuple(g.tokens) for g in together}) > 1


def test_equal_prompts_and_common_beginnings_are_read_once(
    local: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = recorded_reads(local, monkeypatch)
    common = list(range(5, 105))
    local.generate([[*common, 7]] * 6, streams(6), max_tokens=1)
    assert reads == [(1, 101)]
    reads.clear()
    endings = [[7], [8, 9], [8, 9, 10]]
    local.generate([common + end for end in endings], streams(3), max_tokens=1)
    assert reads == [(1, 100), (3, 3)]


def test_finished_rows_leave_the_batch(local: LocalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = recorded_reads(local, monkeypatch)
    generations = local.generate([[5, 6, 7]] * 8, streams(8), max_tokens=6, stop_texts=["e"])
    lengths = [len(generation.tokens) for generation in generations]
    assert len(set(lengths)) > 1
    going = [sum(length > step for length in lengths) for step in range(1, max(lengths))]
    assert [rows for rows, _ in reads[1:]] == going


def test_a_row_ends_after_a_stop_text_that_spans_tokens(local: LocalModel) -> None:
    long = local.generate([[5, 6, 7]] * 4, streams(4), max_tokens=40)
    for index, generation in enumerate(long):
        text = local.tokenizer.decode(generation.tokens)
        middle = text[len(text) // 2 : len(text) // 2 + 4]
        cut = local.generate([[5, 6, 7]], [streams(4)[index]], max_tokens=40, stop_texts=[middle])
        end = local.tokenizer.decode(cut[0].tokens)
        assert cut[0].tokens == generation.tokens[: len(cut[0].tokens)]
        assert middle in end
        assert middle not in local.tokenizer.decode(cut[0].tokens[:-1])


def test_the_models_own_end_token_ends_a_row_and_stays_in_it(local: LocalModel) -> None:
    asked = [[5, 6, 7]] * 200
    ended = [g for g in local.generate(asked, streams(200), max_tokens=30) if len(g.tokens) < 30]
    assert ended
    assert all(g.tokens.index(1) == len(g.tokens) - 1 for g in ended)
    other = local.generate(asked, streams(200), stop=9, max_tokens=30)
    assert any(1 in g.tokens[:-1] for g in other)


def test_logits_that_are_not_finite_are_one_clear_line(local: LocalModel) -> None:
    local.model.lm_head.weight.data.fill_(torch.nan)
    with pytest.raises(AgentError, match="not finite"):
        local.generate([[5, 6]], streams(1), max_tokens=2)


# Prompts -----------------------------------------------------------------------------------------


def test_a_chat_prompt_holds_what_the_memory_holds_in_the_papers_order() -> None:
    for memory in ("none", "history", "reflection", "both"):
        view = [v for k, v in views(memory) if k == "act" and v.turn == 0][2]
        text = chat(view, "act")[1]["content"]
        assert chat(view, "act")[0]["content"].endswith(view.rules)
        assert ("Turn 1: <action>red</action>" in text) == (memory in ("history", "both"))
        assert ("Your note after it: not red" in text) == (memory in ("reflection", "both"))
        assert ("Attempt 1 at this task" in text) == (memory != "none")
        assert "I try red" not in text
        wanted = ["The task begins", "It is turn 1 of 5", "Possible now", "Think first"]
        if memory != "none":
            wanted[1:1] = ["Attempt 2 at this task", "Attempt 3 of 3"]
        places = [text.find(part) for part in wanted]
        assert -1 not in places
        assert places == sorted(places)


def test_a_reflection_is_asked_for_with_the_whole_attempt_in_view() -> None:
    view = next(view for kind, view in views("reflection") if kind == "reflect")
    text = chat(view, "reflect")[1]["content"]
    assert f"Turn {len(view.turns)}: <action>red</action>\n{view.observation}" in text
    assert text.endswith("Answer with <remark>your note</remark>.")
    assert "Possible now" not in text


def test_an_answer_that_was_no_action_is_shown_as_such() -> None:
    trial = play(make("tests.toys:Doors-easy"), TrialPlan(Task("doors-easy", "val", 0)))
    next(trial)
    view = trial.send(Answer("<think>secret</think>I dance." + "!" * 500)).view
    text = chat(view, "act")[1]["content"]
    assert "Turn 1: I dance.!!!" in text
    assert "!" * 200 not in text
    assert "secret" not in text


def test_a_template_is_used_and_told_whether_to_think(local: LocalModel) -> None:
    messages = [{"role": "system", "content": "Rules"}, {"role": "user", "content": "Play"}]
    shown = local.tokenizer.decode(local.encode(messages))
    begun = "<|start|>system\nRules<|end|>\n<|start|>user\nPlay<|end|>\n<|start|>assistant\n"
    assert shown == begun + "<think></think>\n"
    assert local.tokenizer.decode(local.encode(messages, thinking=True)) == begun


def test_a_template_without_system_gets_one_message_and_no_template_plain_text() -> None:
    messages = [{"role": "system", "content": "Rules"}, {"role": "user", "content": "Play"}]
    for template, text in ((WITHOUT_SYSTEM, "[Rules\n\nPlay]"), (None, "Rules\n\nPlay\n\n")):
        tokenizer = tiny_tokenizer(template)
        assert tokenizer.decode(encode(tokenizer, messages)) == text


# Loading -----------------------------------------------------------------------------------------


def test_a_name_that_is_nowhere_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(SettingError, match="cannot be fetched") as caught:
        LocalModel.load("nobody/no-such-model", device="cpu")
    assert "hf download nobody/no-such-model" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_folders_without_a_model_are_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"no model in .*config\.json"):
        LocalModel.load(tmp_path, device="cpu")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(SettingError, match="does not hold a language model") as caught:
        LocalModel.load(tmp_path, device="cpu")
    assert "\n" not in str(caught.value)


def test_an_adapter_without_its_model_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    file = tmp_path / "adapter_config.json"
    for content, fault in (("{}", "does not say which"), ('"gone/away"', "is not there")):
        base = {} if content == "{}" else {"base_model_name_or_path": json.loads(content)}
        file.write_text(json.dumps(base))
        with pytest.raises(SettingError, match=fault):
            LocalModel.load(tmp_path, device="cpu")


def test_a_device_that_is_not_there_is_one_clear_line(folder: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(SettingError, match="no cuda device"):
        LocalModel.load(folder, device="cuda")


# The agent ---------------------------------------------------------------------------------------


class TinyLocal(LocalAgent):
    """The agent with the tiny model, for the contract, which gives no options."""

    def __init__(self) -> None:
        super().__init__(_FOLDER[0], device="cpu", dtype="float64", max_tokens=3)


_FOLDER: list[str] = []


def test_the_agent_keeps_the_contract(folder: Path) -> None:
    _FOLDER[:] = [str(folder)]
    name = "tests.baselines.test_local_model:TinyLocal"
    assert len(check_agent(name, "tests.toys:Doors-easy")) == len(AGENT_CHECKS)


@pytest.mark.parametrize("batch", [1, 64])
def test_a_run_from_the_command_line_tells_the_model_by_option(
    batch: int, folder: Path, tmp_path: Path
) -> None:
    options = {"model": str(folder), "dtype": "float64", "device": "cpu", "max_tokens": "6"}
    run_folder = run(
        "local",
        "tests.toys:Doors-easy",
        agent_options=options,
        tasks=2,
        batch=batch,
        out=tmp_path / "run",
    )
    settings = run_folder.manifest().settings
    stored = settings.agent_settings
    assert settings.is_deterministic
    assert stored["model"] == str(folder)
    assert stored["max_tokens"] == 6
    assert len(stored["weights"]) == 64
    trials = list(run_folder.trials())
    assert len(trials) == 4
    assert not any(trial.void for trial in trials)
    turns = [turn for trial in trials for episode in trial.episodes for turn in episode.turns]
    assert all(turn.prompt_tokens > 100 and 1 <= turn.answer_tokens <= 6 for turn in turns)
    _DIGESTS.add("".join(sorted(trial.digest for trial in trials)))
    assert len(_DIGESTS) == 1


_DIGESTS: set[str] = set()


def test_a_shorter_type_is_not_declared_deterministic(folder: Path) -> None:
    agent = LocalAgent(str(folder), device="cpu", dtype="float32")
    agent.prepare("doors-easy")
    assert not agent.deterministic


def test_a_prompt_that_is_too_long_breaks_its_own_trial_only(tmp_path: Path) -> None:
    asked = [view for kind, view in views() if kind == "act"][:4]
    lengths = [len(encode(tiny_tokenizer(), chat(view, "act"))) for view in asked]
    assert lengths[0] < max(lengths)
    folder = tiny_chat(tmp_path, context_tokens=lengths[0] + 20)
    answers = LocalAgent(str(folder), device="cpu", max_tokens=20).act(asked)
    assert isinstance(answers[0], Answer)
    for length, answer in zip(lengths, answers, strict=True):
        assert isinstance(answer, AgentError) == (length > lengths[0])
        if isinstance(answer, AgentError):
            assert f"has {length} tokens" in str(answer)


def test_a_small_policy_reads_its_own_prompts() -> None:
    agent = LocalAgent(
        str(WEIGHTS / "minesweeper" / "supervised"),
        device="cpu",
        temperature=0.1,
        top_p=1.0,
        top_k=0,
    )
    agent.prepare("minesweeper-hard")
    trial = play(make("minesweeper-hard"), TrialPlan(Task("minesweeper-hard", "val", 0)))
    answer = agent.act([next(trial).view])[0]
    assert isinstance(answer, Answer)
    assert answer.text.startswith("<action>(")
    assert "max_tokens" not in agent.settings()


def test_a_trained_policys_memory_is_its_default(folder: Path, tmp_path: Path) -> None:
    assert LocalAgent(str(folder)).memories[0] == "reflection"
    (tmp_path / "training.json").write_text('{"memory": "both"}')
    assert LocalAgent(str(tmp_path)).memories[0] == "both"


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"temperature": -0.1}, "temperature is -0.1"),
        ({"top_p": 0.0}, "top_p is 0"),
        ({"top_k": -1}, "top_k is -1"),
        ({"max_tokens": 0}, "max_tokens is 0"),
        ({"tokens_at_once": 0}, "tokens_at_once is 0"),
    ],
)
def test_a_setting_that_cannot_work_is_refused(options: dict[str, Any], fault: str) -> None:
    with pytest.raises(SettingError, match=fault):
        LocalAgent("anything", **options)


def test_without_torch_one_line_says_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "baselines.local_model", None)
    with pytest.raises(MissingExtraError, match=r"pip install .*train"):
        LocalAgent(str(folder)).prepare("doors-easy")


def test_every_error_of_loading_is_meant_for_a_person(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    tiny_model(len(tokenizer)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(LamerBenchError, match="does not hold a language model"):
        load_pretrained(tmp_path, torch.device("cpu"), torch.float32)
