"""A manifest as a table: read whole or refused with the line, written whole or not at all."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from hemaline_shared.errors import PermanentError


def read_columns(file: Path) -> list[str]:
    """Return the names in a manifest's first line.

    Raises:
        PermanentError: `manifest-missing` or `manifest-text`.
    """
    return next((names for _, names in _lines(file)), [])


def read_rows(
    file: Path, columns: Sequence[str], hint: str = ""
) -> list[tuple[str, dict[str, str]]]:
    """Return where each row stands, for messages, and its value of each column.

    Args:
        file: The manifest: UTF-8, with or without a byte order mark, tabs between the columns.
        columns: It must have these; it may have more.
        hint: A further sentence for whoever lacks a column.

    Raises:
        PermanentError: `manifest-missing`, `manifest-text`: it is no UTF-8 table, or
            `manifest-column`: the table or one of its rows lacks a column.
    """
    lines = _lines(file)
    _, names = next(lines, ("", []))
    missing = ", ".join(column for column in columns if column not in names)
    if missing:
        raise PermanentError(
            "manifest-column",
            f"{file} has no column {missing}. Its first line names the columns, with tabs between."
            + (hint and f" {hint}"),
        )
    return [(where, _row(where, names, values)) for where, values in lines]


def _row(where: str, names: Sequence[str], values: Sequence[str]) -> dict[str, str]:
    # Empty values after the last column are tabs at the end of the line.
    if len(values) < len(names) or any(values[len(names) :]):
        amount = "few" if len(values) < len(names) else "many"
        raise PermanentError(
            "manifest-column",
            f"{where}: too {amount} columns, {len(values)} instead of {len(names)}. One tab stands "
            "between any two values, also where one is empty.",
        )
    return dict(zip(names, values, strict=False))


def _lines(file: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield where each line that is not empty begins, and its values."""
    lines = csv.reader(io.StringIO(_text(file), newline=""), delimiter="\t")
    where = f"{file}, line 1"
    try:
        for values in lines:
            if values:
                yield where, values
            where = f"{file}, line {lines.line_num + 1}"
    except csv.Error as error:
        raise PermanentError("manifest-text", f"{where}: {error}. Is a quote left open?") from error


def _text(file: Path) -> str:
    if not file.is_file():
        raise PermanentError(
            "manifest-missing",
            f"{file} does not exist: is {file.parent} a data set? Each needs a manifest beside its "
            "images; `hemaline-train data adopt` writes one.",
        )
    read = file.read_bytes()
    try:
        # Spreadsheets put a byte order mark before UTF-8.
        return read.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = read[: error.start].count(b"\n") + 1
        raise PermanentError(
            "manifest-text", f"{file}, line {line}, is not UTF-8. Save it again as UTF-8 text."
        ) from error


def write_rows(file: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a manifest, which is there only once it is whole.

    Raises:
        PermanentError: `manifest-exists`, or `manifest-unwritten`: the disk or its rights.
    """
    refuse_overwriting(file)
    draft = file.with_name(f".{file.name}.draft")
    try:
        with draft.open("w", encoding="utf-8", newline="") as lines:
            table = csv.writer(lines, delimiter="\t", lineterminator="\n")
            table.writerow(columns)
            table.writerows(rows)
        refuse_overwriting(file)
        draft.replace(file)
    except OSError as error:
        raise PermanentError(
            "manifest-unwritten", f"{file} cannot be written: {error.strerror}."
        ) from error
    finally:
        draft.unlink(missing_ok=True)


def refuse_overwriting(file: Path) -> None:
    """Raise PermanentError `manifest-exists` rather than write over a manifest."""
    if file.exists():
        raise PermanentError("manifest-exists", f"{file} is there already; it stays as it is.")
