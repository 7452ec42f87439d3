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
    except UnicodeDecodeError as error:
        raise PermanentError(
            "config", f"{file} is not UTF-8. Save it again as UTF-8 text."
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise PermanentError("config", f"{file} is not TOML: {error}.") from error
    except ValidationError as error:
        raise PermanentError("config", f"{file} is wrong: {problems_in(error)}.") from error


def problems_in(error: ValidationError) -> str:
    """Return the first problems of settings, each with its key where it has one."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    told = []
    for problem in problems[:_MOST_PROBLEMS]:
        # Pydantic's prefix of what a validator of ours says.
        said = problem["msg"].removeprefix("Value error, ")
        told.append(": ".join(filter(None, [".".join(map(str, problem["loc"])), said])))
    return "; ".join(told)
