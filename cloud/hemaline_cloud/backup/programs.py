"""PostgreSQL's own programs: they make base backups and archive the WAL; nothing here does."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from hemaline_cloud.settings import BackupSettings
from hemaline_shared.errors import PermanentError, TransientError
from hemaline_shared.redaction import redact


def program(settings: BackupSettings, name: str) -> str:
    """Return where one of them lies.

    Raises:
        PermanentError: `no-postgres-programs`.
    """
    folder = settings.postgres_programs
    found = shutil.which(name, path=str(folder) if folder else None)
    if not found:
        raise PermanentError(
            "no-postgres-programs",
            f"{name} is not there: install PostgreSQL's client programs of the server's version, "
            "or name their folder in HEMALINE_POSTGRES_PROGRAMS",
        )
    return found


def connection(settings: BackupSettings) -> tuple[str, dict[str, str]]:
    """Return the server's address without the password, and the environment that holds it.

    Everybody on the machine reads the arguments of its processes.
    """
    parts = conninfo_to_dict(settings.database_url.get_secret_value())
    password = parts.pop("password", None)
    environment = os.environ | ({"PGPASSWORD": str(password)} if password else {})
    return make_conninfo("", **parts), dict(environment)


def run(command: Sequence[str], environment: dict[str, str], cwd: Path) -> None:
    """Run a program to its end.

    Raises:
        TransientError: `postgres-program-failed`, with its last words.
    """
    done = subprocess.run(
        command, env=environment, cwd=cwd, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = done.stderr.strip() or f"it ended with status {done.returncode}"
        raise TransientError(
            "postgres-program-failed", f"{Path(command[0]).name}: {redact(said[-500:])}"
        )
