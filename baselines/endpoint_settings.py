"""Settings of an endpoint: where the model is, how it is sampled, and where the key stands.

The key itself is in no setting: a run's manifest stores its settings and its command line.
"""

from __future__ import annotations

import json
import os
import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from lamer_bench.errors import AgentError, SettingError, UnknownNameError
from lamer_bench.registry import unknown


def _none(value: Any) -> Any:
    return None if value == "none" else value


def _object(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


_Temperature = Annotated[float, Field(ge=0, le=2)]
_Share = Annotated[float, Field(gt=0, le=1)]
_Count = Annotated[int, Field(ge=1)]


class EndpointSettings(BaseModel):
    """Where the model is, and how it is sampled; text is read as the type of its field."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_url: str = ""
    """``http://localhost:8000/v1``; the environment variable OPENAI_BASE_URL unless said."""
    model: str = ""
    """The model's name at the server; the environment variable OPENAI_MODEL unless said."""
    key_variable: str = "OPENAI_API_KEY"
    """Name of the environment variable that holds the key; unset where a server wants none."""
    temperature: Annotated[_Temperature | None, BeforeValidator(_none)] = 0.7
    """``none`` leaves it to the server, and so for the two below."""
    top_p: Annotated[_Share | None, BeforeValidator(_none)] = 0.8
    max_tokens: Annotated[_Count | None, BeforeValidator(_none)] = 1024
    """Tokens of an answer."""
    send_seed: bool = True
    """Send a seed with each request, drawn from the trial's own stream (31 bits)."""
    request_fields: Annotated[dict[str, Any], BeforeValidator(_object)] = {}
    """Further fields of the request as JSON: ``{"top_k": 20}`` where the server knows it."""
    in_flight: int = Field(default=16, ge=1, le=1024)
    """Requests at a time."""
    timeout_seconds: float = Field(default=50.0, gt=0)
    """For one answer, all its tries together."""
    retries: int = Field(default=5, ge=0)
    """Further tries after the first."""
    pause_seconds: float = Field(default=0.5, ge=0)
    """Before the second try; doubled before each later one, and shortened by up to a half by
    chance."""

    @classmethod
    def read(cls, options: dict[str, Any]) -> EndpointSettings:
        """Settings from ``options``; raises `SettingError` or `UnknownNameError` with one line."""
        for name in options:
            if name not in cls.model_fields:
                raise UnknownNameError(unknown("option of an endpoint", name, cls.model_fields))
        try:
            settings = cls(**options)
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0])
            raise SettingError(f"{name} is {options[name]!r}: {first['msg']}.") from error
        own = sorted(settings.request_fields.keys() & _OWN_FIELDS)
        if own:
            raise SettingError(f"request_fields cannot set {own[0]!r}; it has an option, or none.")
        return settings

    def sampling(self) -> dict[str, Any]:
        """What a request holds besides its messages and its seed."""
        given = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_tokens": self.max_tokens,
            **self.request_fields,
        }
        return {name: value for name, value in given.items() if value is not None}


_OWN_FIELDS = frozenset(
    {"messages", "model", "temperature", "top_p", "max_tokens", "seed", "n", "stream"}
)


def base_url(settings: EndpointSettings) -> str:
    """The address that ``/chat/completions`` is appended to; raises `AgentError` where there is
    none, or one that is not fit for a manifest."""
    given = settings.base_url or os.environ.get("OPENAI_BASE_URL", "")
    if not given:
        raise AgentError(
            "No endpoint is named. Set OPENAI_BASE_URL, or the option base_url, "
            "for example to http://localhost:8000/v1."
        )
    try:
        parts = urlsplit(given.strip())
        is_sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_sound = False
    if not is_sound:
        raise AgentError(
            "base_url is not an address; it looks like this: http://localhost:8000/v1."
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        raise AgentError(
            "base_url holds a user, a query or a fragment. A key belongs into the environment "
            f"variable {settings.key_variable}, for a run's manifest stores the address."
        )
    path = parts.path.rstrip("/").removesuffix("/chat/completions") or "/v1"
    return f"{parts.scheme}://{parts.netloc}{path}"


def model(settings: EndpointSettings) -> str:
    """The model's name; raises `AgentError` where there is none."""
    name = settings.model or os.environ.get("OPENAI_MODEL", "")
    if not name:
        raise AgentError("No model is named. Set OPENAI_MODEL, or the option model.")
    return name


def key(variable: str) -> str:
    """The key, empty where there is none; a mistake in its place is never quoted."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable):
        raise AgentError(
            "key_variable is the name of the environment variable that holds the key, such as "
            "OPENAI_API_KEY, and not the key."
        )
    key = os.environ.get(variable, "").strip()
    if not all("!" <= character <= "~" for character in key):
        raise AgentError(f"The key in {variable} holds blanks or characters that no key has.")
    return key
