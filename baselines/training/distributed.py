"""Processes: one training in several processes, started by `torchrun` or `accelerate launch`.

Each process rolls out its share of the trials. Then all rollouts are gathered everywhere, so that
every process sees the same rows, advantages and minibatches as a process alone would see, and
evaluates its share of each minibatch. Gradients are sums over rows, divided by the tokens of the
whole minibatch, and added up over the processes: the update is that of one process, up to the
order of the sums. So no wrapper for data parallelism is needed, only one sum for each optimiser
step.

With FSDP switched on in accelerate's configuration the weights, gradients and optimiser states are
sharded by torch's `fully_shard`, layer by layer; for rollouts the weights are put together.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import distributed
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from transformers.modeling_layers import GradientCheckpointingLayer

from baselines.local_model import Device, choose_device
from baselines.training.rollouts import Rollout, Row
from lamer_bench.errors import SettingError

PATIENCE = timedelta(hours=2)
"""For each other: the rollouts of one process can take longer than those of another."""

Item = TypeVar("Item")

FILLER = Row(0, 0, 0, "act", "", prompt=[0], tokens=[0], log_probabilities=[0.0])
"""A row that is evaluated to keep step and counts for nothing."""


class Processes:
    """The processes of a training; this one alone unless a launcher started several."""

    def __init__(self, rank: int = 0, count: int = 1, shards: bool = False) -> None:
        self.rank = rank
        self.count = count
        self.shards = shards
        """Whether each process keeps only its part of the weights."""

    @classmethod
    def join(cls, device: torch.device) -> Processes:
        """Meet the others that the launcher's environment variables tell of; raises
        `SettingError`."""
        count = launched()
        if count == 1:
            return cls()
        if not distributed.is_initialized():
            backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
            distributed.init_process_group(backend, timeout=PATIENCE)
        return cls(distributed.get_rank(), count, _wants_shards())

    @property
    def is_main(self) -> bool:
        """True for the one that writes logs, checkpoints and the policy."""
        return self.rank == 0

    def wait(self) -> None:
        """Until all are here."""
        if self.count > 1:
            distributed.barrier()

    # Work --------------------------------------------------------------------------------------

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """This process's part of ``items``; neighbours stay together."""
        bounds = [len(items) * rank // self.count for rank in (self.rank, self.rank + 1)]
        return items[bounds[0] : bounds[1]]

    def rows_of(self, rows: Sequence[Row], part: Sequence[int]) -> list[int]:
        """This process's part of a minibatch: whole trials, about as many tokens for each."""
        trials: dict[int, list[int]] = {}
        for index in part:
            trials.setdefault(rows[index].trial, []).append(index)
        weight = {
            trial: sum(len(rows[index].prompt) + len(rows[index].tokens) for index in indices)
            for trial, indices in trials.items()
        }
        loads = [0] * self.count
        mine: list[int] = []
        for trial in sorted(trials, key=lambda trial: (-weight[trial], trial)):
            least = loads.index(min(loads))
            loads[least] += weight[trial]
            if least == self.rank:
                mine += trials[trial]
        return mine

    def in_step(self, batches: Iterable[list[int]]) -> Iterator[list[int]]:
        """Batches; where weights are sharded every process must evaluate equally often, and gets
        empty ones (`FILLER` stands for their rows) until the last has finished."""
        if not self.shards:
            yield from batches
            return
        own = list(batches)
        most = int(self._all([float(len(own))], distributed.ReduceOp.MAX)[0])
        yield from own
        yield from ([] for _ in range(most - len(own)))

    # Sums and gatherings -----------------------------------------------------------------------

    def gathered(self, rollout: Rollout) -> Rollout:
        """The rollouts of all processes as one, the trials in the order of their ranks."""
        if self.count == 1:
            return rollout
        parts: list[Any] = [None] * self.count
        distributed.all_gather_object(parts, rollout)
        whole = Rollout([], [], [])
        for part in parts:
            for row in part.rows:
                row.trial += len(whole.plans)
            whole.plans += part.plans
            whole.trials += part.trials
            whole.rows += part.rows
        return whole

    def add_up(self, values: dict[str, float]) -> None:
        """Give every process the sums over all, in place; a missing name counts as 0."""
        if self.count == 1:
            return
        parts: list[Any] = [None] * self.count
        distributed.all_gather_object(parts, dict(values))
        names = dict.fromkeys(name for part in parts for name in part)
        values.update({name: sum(part.get(name, 0.0) for part in parts) for name in names})

    def add_up_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Give every process the sum of the gradients; sharded ones were averaged on their way and
        are scaled to the sum."""
        if self.count == 1:
            return
        if self.shards:
            for parameter in parameters:
                if parameter.grad is not None:
                    parameter.grad.mul_(self.count)
            return
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            distributed.all_reduce(parameter.grad)

    def some(self, flag: bool) -> bool:
        """True where it is true for any process."""
        if self.count == 1:
            return flag
        return self._all([float(flag)], distributed.ReduceOp.MAX)[0] > 0

    def told(self, value: Item) -> Item:
        """The main process's value, everywhere."""
        if self.count == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box, src=0)
        return box[0]

    def agree(self, name: str, value: int) -> None:
        """Raise `SettingError` unless all processes have the same value."""
        if self.count == 1:
            return
        low = self._all([float(value)], distributed.ReduceOp.MIN)[0]
        high = self._all([float(value)], distributed.ReduceOp.MAX)[0]
        if low != high:
            raise SettingError(
                f"The processes disagree on {name}: {low:g} to {high:g}. All of them must see the "
                "same --out folder; put it on a disk that they share."
            )

    def _all(self, values: list[float], operation: Any) -> list[float]:
        tensor = torch.tensor(values, dtype=torch.float64)
        distributed.all_reduce(tensor, operation)
        summed: list[float] = tensor.tolist()
        return summed

    # Shards ------------------------------------------------------------------------------------

    def shard(self, policy: Any) -> None:
        """Leave each process its part of every layer's weights, where that is switched on."""
        if not self.shards:
            return
        network = policy.network
        mesh = distributed.init_device_mesh(policy.device.type, (self.count,))
        for module in network.modules():
            if isinstance(module, GradientCheckpointingLayer):
                fully_shard(module, mesh=mesh)
        # unless told, the root keeps its weights whole after a forward pass, and an optimiser that
        # is made then holds what no later pass reads
        fully_shard(network, mesh=mesh, reshard_after_forward=True)
        with torch.no_grad():
            policy.evaluate([FILLER])  # tells the layers that the network is their root

    @contextmanager
    def whole_weights(self, network: torch.nn.Module) -> Iterator[None]:
        """Inside, every process has all weights, and forward passes need not be in step."""
        parts = [m for m in network.modules() if isinstance(m, FSDPModule)]
        for part in parts:
            part.set_reshard_after_forward(False, recurse=False)
            part.unshard()
        try:
            yield
        finally:
            for part in parts:
                part.reshard()
                part.set_reshard_after_forward(True, recurse=False)


ALONE = Processes()


def launched() -> int:
    """How many processes the launcher says that there are; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def launched_here() -> int:
    """How many of them are on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", launched()))


def is_first() -> bool:
    """True for the process that prints results, also before it has met the others."""
    return launched() == 1 or int(os.environ.get("RANK", "0")) == 0


def local_rank() -> int:
    """This process's number on its machine."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def own_device(device: Device) -> torch.device:
    """The device of that name, on a machine with several GPUs the one of this process."""
    chosen = choose_device(device)
    if chosen.type != "cuda" or launched() == 1:
        return chosen
    torch.cuda.set_device(local_rank())
    return torch.device("cuda", local_rank())


def whole(value: Any, is_kept: bool = True) -> Any:
    """A tensor, or whatever holds tensors, with sharded ones put together on the CPU, one after the
    other: a GPU that holds its part may not hold all. Every process must ask for it; one that does
    not keep it gets empty tensors in their place."""
    if isinstance(value, DTensor):
        full = value.full_tensor().detach()
        return full.cpu() if is_kept else torch.empty(0)
    if isinstance(value, Mapping):
        return {name: whole(one, is_kept) for name, one in value.items()}
    if isinstance(value, list):
        return [whole(one, is_kept) for one in value]
    return value.detach() if isinstance(value, torch.Tensor) else value


def whole_on_main(value: Any) -> Any:
    """`whole` for what the main process alone writes."""
    return whole(value, is_kept=not distributed.is_initialized() or distributed.get_rank() == 0)


def own(value: torch.Tensor) -> torch.Tensor:
    """This process's part of a tensor; all of it where it is not sharded."""
    return value.to_local() if isinstance(value, DTensor) else value


def like(value: torch.Tensor, pattern: torch.Tensor) -> torch.Tensor:
    """``value`` sharded as ``pattern`` is; as it is where that is not sharded."""
    if not isinstance(pattern, DTensor) or value.shape != pattern.shape:
        return value
    return distribute_tensor(
        value.to(pattern.device), pattern.device_mesh, pattern.placements, src_data_rank=None
    )


class WholeOptimizer:
    """An optimiser as a checkpoint sees it: its states put together, whatever the sharding."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer

    def state_dict(self) -> dict[str, Any]:
        """Its state with whole tensors, in the main process."""
        state: dict[str, Any] = whole_on_main(self.optimizer.state_dict())
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take such a state back, each process its part."""
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        states = {
            number: {
                name: like(value, parameters[number]) if isinstance(value, torch.Tensor) else value
                for name, value in one.items()
            }
            for number, one in state["state"].items()
        }
        self.optimizer.load_state_dict({**state, "state": states})


def _wants_shards() -> bool:
    """As accelerate's configuration says through its environment variables."""
    if os.environ.get("ACCELERATE_USE_DEEPSPEED", "false").lower() == "true":
        raise SettingError(
            "DeepSpeed is not supported. To shard the weights, choose FSDP in accelerate's "
            "configuration."
        )
    if os.environ.get("ACCELERATE_USE_FSDP", "false").lower() != "true":
        return False
    if os.environ.get("FSDP_OFFLOAD_PARAMS", "false").lower() == "true":
        raise SettingError(
            "FSDP with weights offloaded to the CPU is not supported. Set fsdp_offload_params to "
            "false in accelerate's configuration."
        )
    return True
