"""Which slide a file belongs to: a manifest's column, or else the folder it lies in."""

import csv
import io
import logging
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hemaline_edge.capture.names import readable
from hemaline_edge.spool.records import Priority
from hemaline_shared.errors import PermanentError

logger = logging.getLogger(__name__)

MANIFEST_NAME = "manifest.tsv"
_DEFAULT_COLUMN = "slide"
_FILE_COLUMN = "file"
_PRIORITY_COLUMN = "priority"
_MAX_BYTES = 64 * 1024 * 1024
_OTHER_LETTERS = ("Manifest.tsv", "MANIFEST.TSV", "Manifest.TSV", "MANIFEST.tsv", "manifest.TSV")
_NEARLY = tuple(
    f"{stem}.{suffix}"
    for stem in ("manifest", "Manifest", "MANIFEST")
    for suffix in ("csv", "CSV", "txt", "tsv.txt", "xlsx", "ods")
)
"""Looked for by name: listing a folder of fifty thousand files for them would cost every sweep."""
_SEPARATORS = {";": "semicolons", ",": "commas"}


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the manifest, counted from 1 with the header, and the file that it names."""

    line: int
    file: str
    slide: str
    priority: Priority


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Where a manifest and a folder do not agree."""

    rows_without_file: tuple[Row, ...]
    files_without_row: int

    def __str__(self) -> str:
        """Tell it without a file's name, which may be a patient's."""
        parts = []
        if self.rows_without_file:
            lines = [str(row.line) for row in self.rows_without_file[:10]]
            more = " …" if len(self.rows_without_file) > 10 else ""
            which = (
                f"line {lines[0]} names"
                if len(lines) == 1
                else f"lines {', '.join(lines)}{more} name"
            )
            parts.append(f"what {which} is not there")
        if self.files_without_row:
            parts.append(
                f"files without a line: {self.files_without_row:,}, which count to their folder's "
                "slide, whoever's they are"
            )
        return f"{MANIFEST_NAME} and the folder do not agree: {'; '.join(parts)}"


class SlideLabels:
    """Labels for the files of one folder. The manifest is read again when it changes."""

    def __init__(self, root: Path, column: str | None) -> None:
        """Read the manifest.

        Args:
            root: The watched folder.
            column: The manifest's column that names slides; None: `slide`, if there is one.

        Raises:
            PermanentError: `no-manifest` or `no-such-column`, when a column was asked for;
                `bad-manifest` when the file cannot be read or contradicts itself.
        """
        self._root = root
        self._manifest = root / MANIFEST_NAME
        self._column = column
        self._version: tuple[int, int, int] | None = None
        self._rows: dict[str, Row] = {}
        self._urgent: frozenset[str] = frozenset()
        self._names_slides = False
        self._told: str | None = None
        self.refresh()
        if column is not None and self._version is None:
            raise PermanentError(
                "no-manifest",
                f"source.slide_column is {column!r}, but there is no {self._manifest}: put one "
                "there, or leave the setting out to take folders as slides",
            )

    def refresh(self) -> bool:
        """Read the manifest again if it changed, and say whether; raises as the constructor."""
        try:
            stat = self._manifest.stat()
        except FileNotFoundError:
            return self._look_for_others()
        except OSError as error:
            raise self._bad(f"cannot be read ({error.strerror})") from error
        version = stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size
        if version == self._version:
            return False
        self._rows = self._read()
        self._urgent = frozenset(row.slide for row in self._rows.values() if row.priority == "stat")
        self._version = version
        return True

    def of(self, path: str) -> str:
        """Return the label for a file, by its path below the folder."""
        row = self._rows.get(_plain(path))
        if row:
            return row.slide
        return self._of_folder(path.rpartition("/")[0])

    def names(self, slide: str) -> bool:
        """Whether a label comes from a subfolder or the manifest, not from the folder itself."""
        listed = any(row.slide == slide for row in self._rows.values())
        return listed or slide != self._of_folder("")

    def priority_of(self, slide: str) -> Priority:
        """Return how urgent a slide is: one line that says so is enough."""
        return "stat" if slide in self._urgent else "routine"

    def mismatch(self, files: Iterable[str]) -> Mismatch | None:
        """Compare the manifest with the files that are there; None where they agree."""
        if not self._names_slides:
            return None
        there = {_plain(path) for path in files}
        missing = tuple(row for plain, row in self._rows.items() if plain not in there)
        unlisted = len(there - self._rows.keys())
        return Mismatch(missing, unlisted) if missing or unlisted else None

    def _of_folder(self, folder: str) -> str:
        return unicodedata.normalize("NFC", readable(folder or self._root.name))

    def _look_for_others(self) -> bool:
        """Take a manifest whose name is written in other letters; tell of one that is not read."""
        for name in _OTHER_LETTERS:
            if (self._root / name).exists():
                self._manifest = self._root / name
                return self.refresh()
        for name in _NEARLY:
            if self._version is None and (self._root / name).exists():
                self._tell_once(
                    f"{self._root / name} is not read: save it as {MANIFEST_NAME}, with tabs "
                    "between the columns"
                )
        return False

    def _tell_once(self, what: str) -> None:
        if what != self._told:
            logger.warning("%s", what)
        self._told = what

    def _read(self) -> dict[str, Row]:
        text = io.StringIO(self._text(), newline=None)  # lines may end as on an old Mac, too
        lines = csv.reader(text, delimiter="\t", quoting=csv.QUOTE_NONE)
        try:
            rows_of_text = (row for row in lines if any(map(str.strip, row)))
            header = [_plain_cell(cell) for cell in next(rows_of_text, [])]
            chosen = self._chosen(header)
            self._names_slides = chosen is not None
            if chosen is None:
                self._tell_once(
                    f"{self._manifest} names no slides, for it has no column {_DEFAULT_COLUMN!r} "
                    f"(it has {', '.join(header)}): folders are taken as slides; "
                    "source.slide_column may name another column"
                )
                return {}
            rows: dict[str, Row] = {}
            for cells in rows_of_text:
                chosen_cells = [cells[at] if at < len(cells) else "" for at in chosen]
                self._add(rows, lines.line_num, chosen_cells)
        except csv.Error as error:
            raise self._bad(f"cannot be read ({error})") from error
        return rows

    def _text(self) -> str:
        try:
            with self._manifest.open("rb") as file:
                data = file.read(_MAX_BYTES + 1)
        except OSError as error:
            raise self._bad(f"cannot be read ({error.strerror})") from error
        if len(data) > _MAX_BYTES:
            raise self._bad("is far too large")
        # Excel's "Unicode text" is UTF-16; other programs put a mark before UTF-8.
        utf16 = data[:2] in {b"\xff\xfe", b"\xfe\xff"}
        try:
            return data.decode("utf-16" if utf16 else "utf-8-sig")
        except UnicodeDecodeError as error:
            raise self._bad("is no UTF-8 text: save it again with that encoding") from error

    def _chosen(self, header: list[str]) -> list[int] | None:
        """Return where file, slide and perhaps priority stand; None where nothing names slides."""
        names = [name.casefold() for name in header]
        wanted = (self._column or _DEFAULT_COLUMN).casefold()
        if len(header) == 1:
            for separator, word in _SEPARATORS.items():
                apart = [name.strip(" \"'") for name in names[0].split(separator)]
                if _FILE_COLUMN in apart or wanted in apart:
                    raise self._bad(f"has its columns between {word}: save it with tabs between")
        if self._column is None and wanted not in names:
            return None
        missing = [name for name in (_FILE_COLUMN, wanted) if name not in names]
        if missing:
            raise PermanentError(
                "no-such-column",
                f"{self._manifest} has no column {missing[0]!r}; it has {', '.join(header)}",
            )
        columns = [_FILE_COLUMN, wanted]
        if _PRIORITY_COLUMN in names:
            columns.append(_PRIORITY_COLUMN)
        return [names.index(name) for name in columns]

    def _add(self, rows: dict[str, Row], line: int, cells: list[str]) -> None:
        file, slide, *priorities = map(_plain_cell, cells)
        if not slide:
            return  # its file is told as one without a line
        slide = unicodedata.normalize("NFC", slide)
        plain = _plain(file) or f"line {line}"
        other = rows.get(plain)
        if other and other.slide != slide:
            raise self._bad(f"gives one file to two slides, in lines {other.line} and {line}")
        priority = self._priority(line, priorities[0]) if priorities else "routine"
        rows[plain] = other or Row(line, file, slide, priority)

    def _priority(self, line: int, text: str) -> Priority:
        match text.casefold():
            case "stat":
                return "stat"
            case "routine" | "":
                return "routine"
        raise self._bad(f"has the priority {text!r} in line {line}: write STAT, routine or nothing")

    def _bad(self, what: str) -> PermanentError:
        return PermanentError("bad-manifest", f"{self._manifest} {what}")


def _plain_cell(cell: str) -> str:
    """Return a cell without the quotes that spreadsheets put around it."""
    return cell.strip().strip('"')


def _plain(path: str) -> str:
    """Return a path as a list and a disk may both be read: composed letters, slashes, no `./`."""
    parts = unicodedata.normalize("NFC", path).replace("\\", "/").split("/")
    return "/".join(part for part in parts if part not in {"", "."})
