"""What documents tell one to type exists: commands, their options, targets of make."""

import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer.main

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    document
    for place in (".", "docs", "deploy", "deploy/k8s", "deploy/compose/models")
    for document in (ROOT / place).glob("*.md")
    if document.name != "CHANGELOG.md"
)
PROGRAMS = {
    "hemaline": "hemaline_local.cli",
    "hemaline-edge": "hemaline_edge.cli",
    "hemaline-cloud": "hemaline_cloud.cli",
    "hemaline-train": "hemaline_train.cli",
}
CODE = re.compile(r"^ *```[^\n]*\n(.*?)^ *```|`([^`\n]+)`", re.MULTILINE | re.DOTALL)
CALL = re.compile(
    r"(?:(?:^|/)(hemaline)|(?:^|[\s/(\"'])(?<!another )(hemaline-(?:edge|cloud|train)))"
    r" (?! )([^\n|;&#>)`]*)",
    re.MULTILINE,
)


@cache
def command_of(program: str) -> Any:
    return typer.main.get_command(import_module(PROGRAMS[program]).app)


def code_in(document: Path) -> Iterator[str]:
    for block, inline in CODE.findall(document.read_text()):
        yield (block or inline).replace("\\\n", " ")


def calls_in(document: Path) -> set[tuple[str, str]]:
    return {
        (alone or part, said.split("  ")[0])  # what comes after two spaces explains
        for code in code_in(document)
        for alone, part, said in CALL.findall(re.sub(r"#.*", "", code))
    }


def wrong_in(program: str, said: str) -> str | None:
    """Say which word of a call the program does not know."""
    command, asked_for = command_of(program), program
    for word in re.sub(r"\[(-[^\]]*)\]", r" \1 ", said).split():
        if word in PROGRAMS:  # before it stood a user's or an image's name
            return None
        if word.startswith("--") and len(word) > 2:
            option = re.split(r"[=,.:/…]", word)[0]
            known = {"--help", "--version"}
            known |= {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
            if option not in known:
                return f"{asked_for} has no {option}"
        elif hasattr(command, "commands"):
            if not re.fullmatch(r"[a-z][a-z-]*", word):
                return None  # a list of commands, or dots in their place
            if word not in command.commands:
                return f"{asked_for} has no {word}"
            command, asked_for = command.commands[word], f"{asked_for} {word}"
    return None


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda one: str(one.relative_to(ROOT)))
def test_every_command_that_a_document_names_exists_with_its_options(document):
    wrong = {wrong_in(program, said) for program, said in calls_in(document)}
    assert wrong <= {None}


def test_commands_of_documents_are_found_at_all():
    assert len({call for document in DOCUMENTS for call in calls_in(document)}) > 80
    assert wrong_in("hemaline-cloud", " backup forget") == "hemaline-cloud backup has no forget"
    assert wrong_in("hemaline-cloud", " verify --fast") == "hemaline-cloud verify has no --fast"


def test_every_target_of_make_that_a_document_names_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document in DOCUMENTS:
        named = {
            target
            for code in code_in(document)
            for target in re.findall(r"^(?:\$ )?make ([a-z][a-z-]+)", code, re.MULTILINE)
        }
        assert named <= targets, document
