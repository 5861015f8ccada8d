"""The contracts that every environment and every agent keeps, usable on anyone's classes.

    check_environment("doors-easy")      check_environment("my_package:Doors-easy")
    check_agent("random")                check_agent("my_package:MyAgent", "doors-easy")

Each check is one short function whose docstring is the promise it tests. The first promise that is
broken raises `ContractError` with one line; what is returned is the list of promises that were
kept.
"""

from __future__ import annotations

import hashlib
import json

from lamer_bench import registry
from lamer_bench.checks.agent import AGENT_CHECKS, AgentUnderTest
from lamer_bench.checks.environment import (
    ENVIRONMENT_CHECKS,
    HEADINGS,
    EnvironmentUnderTest,
    Step,
    advance,
    replay,
    start,
)
from lamer_bench.checks.promises import NONSENSE, kept_promises
from lamer_bench.env import TextEnv, environment_ids
from lamer_bench.errors import SettingError, UnknownNameError

__all__ = [
    "AGENT_CHECKS",
    "ENVIRONMENT_CHECKS",
    "HEADINGS",
    "NONSENSE",
    "Step",
    "advance",
    "check",
    "check_agent",
    "check_environment",
    "digest",
    "replay",
    "start",
]


def check(target: str, environment: str | None = None) -> list[str]:
    """Check whatever ``target`` names: an environment id, a family (all its levels), an agent, or
    ``module:Class`` of either kind. ``environment`` is where an agent plays."""
    ids = _environments(target)
    if ids is None:
        return check_agent(target, environment)
    if environment is not None:
        raise SettingError(f"{target} is an environment; only an agent is checked on another one.")
    passed = []
    for one in ids:
        passed = check_environment(one)
    return passed


def check_environment(name: str, num_tasks: int = 8) -> list[str]:
    """Check an environment id or ``module:Class-level`` on ``num_tasks`` tasks of each split.

    Returns the promises it keeps; raises `ContractError` at the first that it breaks.
    """
    return kept_promises(name, EnvironmentUnderTest(name, num_tasks), ENVIRONMENT_CHECKS)


def check_agent(name: str, environment: str | None = None, num_tasks: int = 4) -> list[str]:
    """Check an agent by its name or ``module:Class``.

    ``environment`` is where it plays; the first one that it accepts unless said. Returns the
    promises it keeps; raises `ContractError` at the first that it breaks.
    """
    return kept_promises(name, AgentUnderTest(name, environment, num_tasks), AGENT_CHECKS)


def digest(name: str, num_tasks: int = 8) -> str:
    """SHA-256 of what random play shows on the first tasks of each split: equal in every
    process."""
    subject = EnvironmentUnderTest(name, num_tasks)
    whole = hashlib.sha256()
    for task in subject.tasks():
        env = subject.make()
        answers, steps = subject.wander(env, task)
        content = [task.id, env.fingerprint(), env.rules(), env.solution(), answers, steps]
        whole.update(json.dumps(content).encode())
    return whole.hexdigest()


def _environments(target: str) -> list[str] | None:
    """The environments that ``target`` names: one, or each level of a family; None for an
    agent."""
    if target in list(registry.AGENTS):
        return None
    if target in list(registry.ENVIRONMENTS):
        return _levels(target, registry.ENVIRONMENTS.load(target))
    if target in environment_ids() or (":" in target and "-" in target.partition(":")[2]):
        return [target]
    if ":" not in target:
        raise UnknownNameError(
            registry.unknown("environment or agent", target, [*environment_ids(), *registry.AGENTS])
        )
    loaded = registry.AGENTS.load(target)
    is_family = isinstance(loaded, type) and issubclass(loaded, TextEnv)
    return _levels(target, loaded) if is_family else None


def _levels(family: str, cls: type[TextEnv]) -> list[str]:
    return [f"{family}-{level}" for level in cls.levels]
