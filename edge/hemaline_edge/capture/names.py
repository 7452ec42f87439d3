"""Names of files and folders: whose they are, and how a name that is no text is written."""

import os
from pathlib import PurePosixPath
from urllib.parse import quote_from_bytes, unquote_to_bytes

_NOT_TEXT = "//"
"""Begins the key of a name that is no text; no path has it at its start, or within."""

_NEVER_IMAGES = frozenset(
    (  # noqa: SIM905 - sixty words read better than sixty quoted ones
        ".aria2 .bak .cfg .conf .crdownload .csv .db .dll .doc .docx .download .downloading "
        ".dtapart .exe .filepart .htm .html .icloud .incomplete .info .ini .js .json .lck .lnk "
        ".lock .log .md .old .opdownload .orig .part .partial .pdf .ppt .pptx .py .rtf .sqlite "
        ".sqlite3 .swo .swp .temp .tmp .toml .torrent .tsv .txt .url .wbk .xls .xlsx .xml .xmp "
        ".yaml .yml .zip .!qb .!sync .!ut .~tmp"
    ).split()
)
_IMAGES = frozenset(
    (  # noqa: SIM905 - thirty words read better than thirty quoted ones
        ".avif .bmp .btf .cr2 .cr3 .czi .dcm .dib .dng .gif .heic .heif .j2k .jfif .jp2 .jpe .jpeg "
        ".jpg .jxl .jxr .lif .mrxs .nd2 .ndpi .nef .oib .oif .png .pgm .pnm .ppm .psd .raw .scn "
        ".svs .tf8 .tga .tif .tiff .vsi .webp"
    ).split()
)
_NEVER_IMAGE_ENDINGS = ("~", "_original", "@synoeastream", "@synoresource", ":zone.identifier")
_OTHERS_FOLDERS = frozenset(
    {
        "@eadir", "@recycle", "@recycle bin", "@recently-snapshot", "@sharebin", "@sharesnap",
        "@tmp", "@transcode", "#recycle", "#snapshot", "$recycle.bin", "$extend", "recycler",
        "recycled", "system volume information", "lost+found", "__macosx", "network trash folder",
        "_gsdata_", "recycle.bin", "temporary items", "thevolumesettingsfolder", "found.000",
    }
)  # fmt: skip
"""What NAS, Windows and macOS keep for themselves: thumbnails, recycle bins, snapshots."""


def may_be_image(name: str) -> bool:
    """Whether a file of this name is worth opening; what is not is passed over without a word.

    Names tell what other programs keep beside images: partial downloads, editors' copies and
    locks, lists, thumbnails' databases.
    """
    lower = name.lower()
    if lower.startswith((".", "~")) or lower.endswith(_NEVER_IMAGE_ENDINGS):
        return False
    if lower.startswith("#") and lower.endswith("#"):
        return False
    _, dot, suffix = lower.rpartition(".")
    return dot + suffix not in _NEVER_IMAGES


def claims_image(name: str) -> bool:
    """Whether a name says that its file is an image: by its suffix, or because it has none.

    The files that other programs keep have more suffixes than any list; what neither says that it
    is an image nor is one was never a frame.
    """
    _, dot, suffix = name.lower().rpartition(".")
    return not dot or dot + suffix in _IMAGES


def may_hold_images(name: str) -> bool:
    """Whether a folder of this name is a person's, and not some program's housekeeping."""
    lower = name.lower()
    return not (
        lower.startswith((".", "~")) or lower in _OTHERS_FOLDERS or lower.endswith(".download")
    )


def readable(path: str | PurePosixPath) -> str:
    """Return a path as text that can be shown and stored, whatever bytes it is made of."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )


def key_of(path: str) -> str:
    """Return what a path is remembered by: itself, or where that is no text, its bytes in text."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return _NOT_TEXT + quote_from_bytes(os.fsencode(path))
    return path


def path_of(key: str) -> str:
    """Return the path that `key_of` has made a key of."""
    if not key.startswith(_NOT_TEXT):
        return key
    return os.fsdecode(unquote_to_bytes(key.removeprefix(_NOT_TEXT)))
