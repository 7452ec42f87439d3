"""Which slide a file belongs to: a manifest's column, or else the folder it lies in."""

import csv
from pathlib import Path, PurePosixPath

from hemaline_shared.errors import PermanentError

MANIFEST_NAME = "manifest.tsv"
_DEFAULT_COLUMN = "slide"


class SlideLabels:
    """Labels for the files of one folder. The manifest is read again when it changes."""

    def __init__(self, root: Path, column: str | None) -> None:
        """Read the manifest.

        Args:
            root: The watched folder.
            column: The manifest's column that names slides; None: `slide`, if there is one.

        Raises:
            PermanentError: `no-manifest` or `no-such-column`, when a column was asked for;
                `bad-manifest` when the file cannot be read.
        """
        self._root = root
        self._manifest = root / MANIFEST_NAME
        self._column = column
        self._version: int | None = None
        self._labels: dict[str, str] = {}
        self.refresh()
        if column is not None and self._version is None:
            raise PermanentError(
                "no-manifest",
                f"source.slide_column is {column!r}, but there is no {self._manifest}: put one "
                "there, or leave the setting out to take folders as slides",
            )

    def refresh(self) -> None:
        """Read the manifest again if it changed; raises as the constructor."""
        try:
            version = self._manifest.stat().st_mtime_ns
        except OSError:
            return
        if version != self._version:
            self._labels = self._read()
            self._version = version

    def of(self, path: PurePosixPath) -> str:
        """Return the label for a file, by its path below the folder."""
        listed = self._labels.get(str(path))
        if listed:
            return listed
        folder = str(path.parent)
        return self._root.name if folder == "." else folder

    def _read(self) -> dict[str, str]:
        try:
            with self._manifest.open(newline="", encoding="utf-8-sig") as file:
                rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
                columns = list(rows.fieldnames or ())
                column = self._chosen(columns)
                if column is None:
                    return {}
                return {
                    str(PurePosixPath(row["file"])): row[column]
                    for row in rows
                    if row["file"] and row[column]
                }
        except (OSError, UnicodeError, csv.Error) as error:
            raise PermanentError("bad-manifest", f"{self._manifest}: {error}") from error

    def _chosen(self, columns: list[str]) -> str | None:
        if self._column is None and _DEFAULT_COLUMN not in columns:
            return None
        column = self._column or _DEFAULT_COLUMN
        missing = [name for name in ("file", column) if name not in columns]
        if missing:
            raise PermanentError(
                "no-such-column",
                f"{self._manifest} has no column {missing[0]!r}; it has {', '.join(columns)}",
            )
        return column
