"""Read settings from a flat TOML file, and say in a sentence what is wrong with them."""

import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from hemaline_shared.errors import PermanentError

Settings = TypeVar("Settings", bound=BaseModel)

_MOST_PROBLEMS = 5


def read_toml(file: Path, kind: type[Settings]) -> Settings:
    """Read a file as settings of a kind.

    Raises:
        PermanentError: `config`: the file is missing, no TOML, or has a wrong or unknown key.
    """
    try:
        return kind.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise PermanentError("config", f"{file} cannot be read: {error.strerror}.") from error
    except tomllib.TOMLDecodeError as error:
        raise PermanentError("config", f"{file} is not TOML: {error}.") from error
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        told = [f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in problems[:_MOST_PROBLEMS]]
        raise PermanentError("config", f"{file} is wrong: {'; '.join(told)}.") from error
