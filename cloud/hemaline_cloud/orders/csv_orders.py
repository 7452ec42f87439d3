"""Orders as a CSV brings them: a line each, under the names of its columns. Pure."""

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from hemaline_cloud.orders.order import NewOrder
from hemaline_shared.errors import PermanentError

_PATIENT = ("identifier", "name", "birth_date")
_COUNTS = ("wbc", "hb", "plt")
_WANTED = ("barcode",)
COLUMNS = (
    *_WANTED,
    *_PATIENT,
    *(column for part in _COUNTS for column in (part, f"{part}_unit")),
    "ordered_at",
)
_SEPARATORS = ",;\t"


def read_csv(text: str) -> Iterator[tuple[str, NewOrder | PermanentError]]:
    """Yield where each order stands, and the order or what is wrong with it; blank lines are none.

    Columns may come in any order and be parted by commas, semicolons or tabs; `barcode` must be
    there. What is wrong is told by its column, never with what stands there.

    Raises:
        PermanentError: `orders-unreadable`; the first line names no columns of ours.
    """
    lines = text.removeprefix("\ufeff")
    first = lines.partition("\n")[0]
    separator = max(_SEPARATORS, key=first.count)
    rows = csv.reader(io.StringIO(lines, newline=""), delimiter=separator, strict=True)
    try:
        columns = [name.strip().lower() for name in next(rows, [])]
        _check(columns)
        for cells in rows:
            if any(cell.strip() for cell in cells):
                yield f"line {rows.line_num}", _read(columns, cells)
    except csv.Error as error:
        raise PermanentError(
            "orders-unreadable", f"Line {rows.line_num}: a quotation mark is not closed."
        ) from error


def _check(columns: list[str]) -> None:
    unknown = [name for name in columns if name not in COLUMNS]
    missing = [name for name in _WANTED if name not in columns]
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if unknown or missing or twice:
        raise PermanentError(
            "orders-unreadable",
            "The first line must name the columns, each once, among them barcode: "
            f"{', '.join(COLUMNS)}.",
        )


def _read(columns: list[str], cells: list[str]) -> NewOrder | PermanentError:
    if len(cells) != len(columns):
        return PermanentError(
            "order-unreadable", f"It has {len(cells)} parts, and the first line {len(columns)}."
        )
    said = {name: cell.strip() for name, cell in zip(columns, cells, strict=True) if cell.strip()}
    try:
        return NewOrder.model_validate(_order(said))
    except ValidationError as error:
        faults = {_column(one["loc"]): one for one in error.errors(include_input=False)}
        words = "; ".join(
            f"{column}: {_plain(one['type'], one['msg'])}" for column, one in faults.items()
        )
        return PermanentError("order-unreadable", f"{words}.")


def _order(said: Mapping[str, str]) -> dict[str, Any]:
    patient = {name: said[name] for name in _PATIENT if name in said}
    counts = {
        part: {"value": said.get(part, "")}
        | ({"unit": said[f"{part}_unit"]} if f"{part}_unit" in said else {})
        for part in _COUNTS
        if part in said or f"{part}_unit" in said
    }
    return {
        "barcode": said.get("barcode", ""),
        "patient": patient or None,
        "blood_count": counts,
        "ordered_at": said.get("ordered_at"),
    }


def _column(place: tuple[int | str, ...]) -> str:
    """Return the column of a fault: `blood_count.hb.unit` stands in `hb_unit`."""
    parts = [str(part) for part in place]
    if parts[0] == "blood_count" and len(parts) > 1:
        return f"{parts[1]}_unit" if parts[-1] == "unit" else parts[1]
    return parts[-1]


def _plain(kind: str, fault: str) -> str:
    if kind.startswith("date"):
        return "is no date: write it as 1980-05-17"
    if kind == "missing":
        return "is missing"
    fault = fault.removeprefix("Value error, ").removesuffix(".")
    return fault[:1].lower() + fault[1:]
