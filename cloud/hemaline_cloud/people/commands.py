"""`hemaline-cloud people …` and `hemaline-cloud tokens …`, as typed."""

from typing import Annotated
from uuid import UUID

import typer

from hemaline_cloud.settings import MigrateSettings
from hemaline_cloud.starting import start

people = typer.Typer(
    no_args_is_help=True,
    help="Who may log in, and as what: list, show, add, change, pause, resume, discard.",
)
tokens = typer.Typer(
    no_args_is_help=True, help="What programs call the API with: list, add, discard."
)

_Name = Annotated[str, typer.Argument(help="The name to log in with.")]
_Grants = Annotated[
    list[str] | None,
    typer.Option(
        "--role",
        metavar="ROLE[@SITE]",
        help="technologist, haematologist, operator or admin; at every site or at one. Repeatable.",
    ),
]


@people.command("list")
def list_people(*, ended: bool = False) -> None:
    """List people and services with their roles; discarded ones too, if asked."""
    from hemaline_cloud.people import verbs

    start(MigrateSettings, lambda settings: verbs.list_everybody(settings, typer.echo, ended=ended))


@people.command("show")
def show_person(name: _Name) -> None:
    """Show one of them: roles, until when, and how they log in."""
    from hemaline_cloud.people import verbs

    start(MigrateSettings, lambda settings: verbs.show_person(settings, name, typer.echo))


@people.command("add")
def add_person(
    name: _Name,
    role: _Grants = None,
    full_name: str = "",
    *,
    service: Annotated[
        bool, typer.Option("--service", help="A program: it has tokens and no password.")
    ] = False,
) -> None:
    """Add somebody, and print their first password: it is shown once."""
    from hemaline_cloud.people import verbs

    start(
        MigrateSettings,
        lambda settings: verbs.add_somebody(
            settings, name, full_name or name, role or [], typer.echo, service=service
        ),
    )


@people.command("change")
def change_person(
    name: _Name,
    role: _Grants = None,
    *,
    password: Annotated[
        bool, typer.Option("--password", help="Print a new password; open sessions end.")
    ] = False,
    no_second_factor: Annotated[
        bool, typer.Option("--no-second-factor", help="Switch it off: a telephone was lost.")
    ] = False,
) -> None:
    """Give somebody exactly these roles, a new password, or no second factor."""
    from hemaline_cloud.people import verbs

    if role is None and not password and not no_second_factor:
        raise typer.BadParameter("Say what changes: --role, --password or --no-second-factor.")
    start(
        MigrateSettings,
        lambda settings: verbs.change_somebody(
            settings,
            name,
            role,
            typer.echo,
            password=password,
            no_second_factor=no_second_factor,
        ),
    )


@people.command("pause")
def pause_person(name: _Name) -> None:
    """Let somebody in no more until `resume`: sessions end now, tokens rest."""
    from hemaline_cloud.people import verbs

    start(
        MigrateSettings, lambda settings: verbs.change_state(settings, name, "paused", typer.echo)
    )


@people.command("resume")
def resume_person(name: _Name) -> None:
    """Let somebody in again who was paused."""
    from hemaline_cloud.people import verbs

    start(
        MigrateSettings, lambda settings: verbs.change_state(settings, name, "active", typer.echo)
    )


@people.command("discard")
def discard_person(name: _Name) -> None:
    """Let a leaver in never again: sessions and tokens end now, for good."""
    from hemaline_cloud.people import verbs

    start(
        MigrateSettings,
        lambda settings: verbs.change_state(settings, name, "discarded", typer.echo),
    )


@tokens.command("list")
def list_tokens(*, ended: bool = False) -> None:
    """List tokens, newest first; ended ones too, if asked."""
    from hemaline_cloud.people import verbs

    start(
        MigrateSettings, lambda settings: verbs.list_all_tokens(settings, typer.echo, ended=ended)
    )


@tokens.command("add")
def add_token(
    name: Annotated[str, typer.Argument(help="Of the person or service whose token it is.")],
    purpose: Annotated[str, typer.Option("--for", help="What it is for.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="read, write or metrics. Repeatable.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=366, help="It ends after so many.")] = 90,
) -> None:
    """Print a new token: it is shown once."""
    from hemaline_cloud.people import verbs

    start(
        MigrateSettings,
        lambda settings: verbs.add_new_token(
            settings, name, purpose, scope or ["read"], days, typer.echo
        ),
    )


@tokens.command("discard")
def discard_token(token_id: UUID) -> None:
    """End a token now."""
    from hemaline_cloud.people import verbs

    start(MigrateSettings, lambda settings: verbs.discard_one_token(settings, token_id, typer.echo))
