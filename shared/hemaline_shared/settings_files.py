"""Settings whose values lie in files: `HEMALINE_DATABASE_URL_FILE=/run/secrets/database-url`.

So come secrets of Docker, Podman, Kubernetes and systemd: a value in the environment is shown by
`inspect`, and inherited by every child.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

from hemaline_shared.errors import PermanentError

SUFFIX = "_FILE"
_LARGEST = 64 * 1024


def with_values_of_files(
    variables: Mapping[str, str | None], known: Collection[str]
) -> dict[str, str | None]:
    """Return the variables, each `…_FILE` of a known setting replaced by what its file holds.

    `known` holds how variables may begin, as `HEMALINE_BROKER`; files of other processes are left
    alone, for this one may not be allowed to read them. Names are taken in any case. One line end
    at the file's end belongs to the editor, not to the value.

    Raises:
        PermanentError: `bad-settings`, with a line for each file that gives no value. No line tells
            anything of a file's content.
    """
    values = dict(variables)
    problems = []
    for variable, file in variables.items():
        name, upper = variable[: -len(SUFFIX)], variable.upper()
        begin = name.upper().partition("__")[0]
        if not upper.endswith(SUFFIX) or begin not in known or not file:
            continue
        del values[variable]
        if values.get(name):
            problems.append(f"{upper}: {name.upper()} is set, too; set one of them")
            continue
        try:
            values[name] = _value_of(Path(file))
        except ValueError as error:
            problems.append(f"{upper}: {file} {error}")
    if problems:
        raise PermanentError("bad-settings", "\n".join(problems))
    return values


def _value_of(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            content = opened.read(_LARGEST + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror or error}") from None
    if len(content) > _LARGEST:
        raise ValueError("is larger than any setting")
    try:
        value = content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ValueError("is no UTF-8 text") from None
    if not value.strip():
        raise ValueError("is empty")
    return value
