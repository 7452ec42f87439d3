"""What every command of ours has in common: `--version`, and one sentence for whatever ends it."""

import errno
import logging
import sys
import traceback
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from hemaline_shared.errors import HemalineError, TransientError
from hemaline_shared.redaction import redact
from hemaline_shared.terminal import fail, prepare_terminal

logger = logging.getLogger(__name__)

CANNOT_START = 2
"""Called wrongly, or set wrongly: starting it again does not help."""
MET_TROUBLE = 1
"""Trouble that may pass, or a defect of ours."""
_NO_SUCH_USE = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.EROFS}
    | {errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO}
)
"""What a person meets who named the wrong file or folder, or may not use it."""


class _Commands(TyperGroup):
    needed_part = ""

    def main(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401  # typer's, whatever they are
        prepare_terminal()
        return super().main(*args, **options)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401  # typer has a copy of click's Context
        try:
            return super().invoke(ctx)
        except TransientError as error:
            fail(str(error), MET_TROUBLE)
        except HemalineError as error:
            fail(str(error), CANNOT_START)
        except ModuleNotFoundError as error:
            fail(_not_installed(error, self.needed_part), CANNOT_START)
        except Exception as error:
            if isinstance(error, _CLICKS):
                raise
            if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
                fail(f"there is no room left on the disk: {error}", MET_TROUBLE)
            if told := _told_of_names(error):
                logger.debug("ended by a name", exc_info=error)
                fail(told, CANNOT_START)
            _tell_crash(error)
            sys.exit(MET_TROUBLE)


def _click_errors() -> tuple[type[BaseException], ...]:
    """Return what typer itself turns into a usage message; it carries its own copy of click."""
    bases = typer.BadParameter.__mro__
    own = next(base for base in reversed(bases) if base.__module__ == typer.BadParameter.__module__)
    return (own, typer.Exit, typer.Abort)


_CLICKS = _click_errors()


def command_line(name: str, about: str, *, part: str) -> typer.Typer:
    """Return an application to which commands are added, with `--version`.

    Args:
        name: As it is typed.
        about: What it is, for `--help`.
        part: The extra of our distribution that brings all it needs.
    """

    class Commands(_Commands):
        needed_part = part

    app = typer.Typer(
        name=name,
        cls=Commands,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,  # boxes cut a sentence up, and brackets in a name are no markup
        pretty_exceptions_enable=False,  # boxes are no log, and they show addresses with passwords
        help=about,
    )

    def show_version(wanted: bool) -> None:  # noqa: FBT001  # typer calls it so
        if wanted:
            typer.echo(f"{name} {version('hemaline')}")
            raise typer.Exit

    @app.callback(help=about)
    def options(
        *,
        _version: Annotated[
            bool,
            typer.Option(
                "--version", callback=show_version, is_eager=True, help="Show the version and end."
            ),
        ] = False,
    ) -> None:
        pass

    return app


def _not_installed(error: ModuleNotFoundError, part: str) -> str:
    if (error.name or "hemaline").startswith("hemaline"):
        raise error
    target = "setup-train" if part == "train" else "setup"
    return (
        f"this needs {error.name}, which is not installed: run `make {target}` in a clone, or "
        f"install 'hemaline[{part}]'"
    )


def _told_of_names(error: Exception) -> str | None:
    """Say what is wrong with a file, or with a name, that a person has given; None: neither is."""
    if isinstance(error, UnicodeEncodeError) and "surrogates" in error.reason:
        return f"{error.object!r} is no text in UTF-8"
    if isinstance(error, OSError) and error.errno in _NO_SUCH_USE and error.filename:
        return f"{error.filename} cannot be used: {error.strerror}"
    return None


def _tell_crash(error: Exception) -> None:
    if logging.getLogger().handlers:
        logger.critical("ended by a defect of ours", exc_info=error)
        return
    sys.stderr.write(redact("".join(traceback.format_exception(error))))
    sys.stderr.write("This is a defect of Hemaline's: please report it with the lines above.\n")
