"""Options of an agent or environment: ``key=value`` texts of a command line as arguments.

The parameters of the class's ``__init__`` are the options, read as their annotations say. A class
that takes ``**options`` is given whatever is left as text, and checks it itself.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError

from lamer_bench.env import TextEnv, environment_class, make
from lamer_bench.errors import SettingError, UnknownNameError
from lamer_bench.registry import unknown

OF_A_RUN = frozenset({"level", "split", "render_mode"})
"""Parameters of every environment that are no options: an id or a run says them."""


def split_options(texts: Iterable[str]) -> dict[str, str]:
    """``["temperature=0.5"]`` -> ``{"temperature": "0.5"}``; raises `SettingError`."""
    options: dict[str, str] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not (sign and name.isidentifier()):
            raise SettingError("An option is given as name=value, as in temperature=0.5.")
        if name in options:
            raise SettingError(f"The option {name!r} is given twice.")
        options[name] = value
    return options


def make_with_options(environment: str, options: Mapping[str, Any]) -> TextEnv:
    """An environment by its id, with options of its class; raises a `LamerBenchError` with one
    clear line."""
    if not options:
        return make(environment)
    cls = environment_class(environment)
    read = read_options(cls, options, without=OF_A_RUN, flag="--env-option")
    return make(environment, **read)


def read_options(
    cls: type,
    options: Mapping[str, Any],
    without: Collection[str] = (),
    flag: str = "--agent-option",
) -> dict[str, Any]:
    """``options`` as arguments of ``cls``, whose parameters ``without`` are no options; raises a
    `LamerBenchError` with one clear line. ``flag`` is what gives one on the command line."""
    parameters = dict(inspect.signature(cls).parameters)
    takes_all = [p.name for p in parameters.values() if p.kind is inspect.Parameter.VAR_KEYWORD]
    named = {
        name: parameter
        for name, parameter in parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        and name not in without
    }
    for name in options:
        if name not in named and not takes_all:
            raise UnknownNameError(_no_option(cls, name, named))
    missing = [n for n, p in named.items() if p.default is p.empty and n not in options]
    if missing:
        name = missing[0]
        raise SettingError(f"{cls.__name__} needs the option {name!r}: {flag} {name}=VALUE.")
    hints = _hints(cls) if named else {}
    return {
        name: _read(name, value, hints[name]) if name in named and name in hints else value
        for name, value in options.items()
    }


def _hints(cls: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(cls.__init__)  # type: ignore[misc]
    except NameError:  # a name that only a type checker imports
        return {}


def _no_option(cls: type, name: str, known: Iterable[str]) -> str:
    if not known:
        return f"{cls.__name__} has no option {name!r}; it has none at all."
    return unknown(f"option of {cls.__name__}", name, known)


def _read(name: str, value: Any, hint: Any) -> Any:
    """A text as what ``hint`` says; other values, and hints that say nothing of texts, pass."""
    if not isinstance(value, str):
        return value
    try:
        adapter = TypeAdapter[Any](hint, config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticUserError:
        return value
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise SettingError(f"The option {name} is {value!r}: {reason}.") from error
