"""Reading a process's settings: from the environment (`HEMALINE_…`, nested by `__`) and a file.

A variable that ends in `_FILE` names a file that holds the value.
"""

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, BeforeValidator, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from hemaline_shared.errors import PermanentError
from hemaline_shared.redaction import redact, register_secrets
from hemaline_shared.settings_files import SUFFIX, with_values_of_files

PREFIX = "HEMALINE_"

_OTHERS = frozenset({"DATA", "SEED", "TEST_ALL", "TRAIN_CACHE", "WEIGHTS"})
"""What `hemaline-train` and the tests read: it may stand in one environment with the settings."""
_SERVICE_LINK = re.compile(r"_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_\d+_(TCP|UDP)(_.+)?)?)$")
"""What Kubernetes adds for a service that is called hemaline-something."""


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


LogLevel: TypeAlias = Annotated[
    Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)
]
LogForm: TypeAlias = Literal["text", "json"]


class ProcessSettings(BaseSettings):
    """What every process of ours can be told. The environment wins over a file."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_ignore_empty=True,  # `HEMALINE_SITE=` in a compose file means: not set
        extra="forbid",
    )

    log_level: LogLevel = "info"
    log_form: LogForm = "text"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file, which arrives as init arguments.

        Raises:
            PermanentError: As `with_values_of_files`.
        """
        assert isinstance(env_settings, EnvSettingsSource)
        env_settings.env_vars = with_values_of_files(
            env_settings.env_vars, variables_of(settings_cls)
        )
        return env_settings, init_settings


S = TypeVar("S", bound=ProcessSettings)


def read_settings(
    kind: type[S],
    file: Mapping[str, Any] | None = None,
    *,
    beside: Iterable[type[ProcessSettings]] = (),
) -> S:
    """Read the settings; whatever secret is in them is kept out of logs from now on.

    Args:
        kind: The process's settings.
        file: What a settings file says, or None.
        beside: Settings of processes that share an environment with this one: their variables are
            known, too.

    Raises:
        PermanentError: `bad-settings`, with one line for each that is wrong or unknown.
    """
    try:
        settings = kind(**(file or {}))
    except SettingsError as error:
        raise PermanentError("bad-settings", _unreadable(error)) from None
    except ValidationError as error:
        # Not `from error`: what pydantic tells of an input may be a secret.
        problems = [_sentence(problem, kind) for problem in _problems_of(error)]
        problems += unknown_variables([kind, *beside])
        raise PermanentError("bad-settings", "\n".join(map(redact, problems))) from None
    register_secrets(settings)
    if unknown := unknown_variables([kind, *beside]):
        raise PermanentError("bad-settings", "\n".join(unknown))
    return settings


def variables_of(kind: type[BaseModel]) -> set[str]:
    """Return how the variables of a process may begin."""
    return {PREFIX + name.upper() for name in kind.model_fields}


def unknown_variables(kinds: Iterable[type[ProcessSettings]]) -> list[str]:
    """Return a sentence for each `HEMALINE_…` variable that none of the processes reads.

    A misspelt variable that is ignored is a setting that everybody believes in.
    """
    known = {PREFIX + name for name in _OTHERS}.union(*map(variables_of, kinds))
    sentences = []
    for variable in sorted(os.environ):
        begin = variable.upper().partition("__")[0]
        if not begin.startswith(PREFIX) or begin.removesuffix(SUFFIX) in known:
            continue
        if _SERVICE_LINK.search(begin):
            continue
        sentences.append(f"{variable}: there is no such setting{_perhaps(begin, known)}")
    return sentences


def _perhaps(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {near[0]}?" if near else ""


def _problems_of(error: ValidationError) -> list[ErrorDetails]:
    return error.errors(include_input=False, include_url=False)


def _sentence(problem: ErrorDetails, kind: type[BaseModel]) -> str:
    parts = [str(part) for part in problem["loc"]]
    if not parts:
        return problem["msg"].removeprefix("Value error, ")
    field = kind.model_fields.get(parts[0])
    if field is not None and field.discriminator:
        del parts[1:2]  # which of the kinds it was read as
        if problem["type"].startswith("union_tag"):
            parts.append("kind")
    where, variable = ".".join(parts), PREFIX + "__".join(parts).upper()
    return f"{where} (or {variable}): {_what_is_wrong(problem)}"


def _what_is_wrong(problem: ErrorDetails) -> str:
    context = problem.get("ctx", {})
    if problem["type"] == "missing":
        return "it is not set, and has no default"
    if problem["type"] == "extra_forbidden":
        return "there is no such setting"
    if problem["type"] == "union_tag_not_found":
        return "it is not set; docs/operations.md and docs/edge.md list the kinds"
    if problem["type"] == "union_tag_invalid":
        return f"there is no such kind; there are {context.get('expected_tags')}"
    if problem["type"] in {"model_type", "model_attributes_type", "dict_type"}:
        return "it has parts of its own, as source.kind and source.path are parts of source"
    return problem["msg"].removeprefix("Value error, ")


def _unreadable(error: SettingsError) -> str:
    found = re.search(r'field "(\w+)"', str(error))
    name = found[1].upper() if found else ""
    return (
        f"{PREFIX}{name}: its value cannot be read as settings; "
        f"set its parts one by one, as {PREFIX}{name}__…"
    )
