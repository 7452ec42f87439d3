"""The spool's content, for scripts as a document and for people as tables."""

from typing import Any

from rich.table import Table
from rich.text import Text

from hemaline_edge.spool.kept import KeptImages
from hemaline_shared.ids import accession


def as_document(spool: KeptImages, quota_bytes: int) -> dict[str, Any]:
    """Return what waits, what was counted, the slides and what led to no result, ready for JSON."""
    counts, contents, kept = spool.counts(), spool.contents(), spool.files()
    return {
        "waiting": {
            "frames": contents.frames,
            "messages": contents.messages,
            "bytes": contents.size,
            "quota_bytes": quota_bytes,
            "oldest_at": contents.oldest_at.isoformat() if contents.oldest_at else None,
        },
        "kept": {"files": len(kept), "bytes": sum(file.size for file in kept)},
        "counts": {
            "captured": counts.captured,
            "rejected": counts.rejected,
            "quarantined": counts.quarantined,
            "receipted": counts.receipted,
            "refused": counts.refused,
        },
        "slides": [
            {
                "label": slide.label,
                "accession": accession(slide.slide_id),
                "slide_id": str(slide.slide_id),
                "specimen_id": str(slide.specimen_id),
                "opened_at": slide.opened_at.isoformat(),
                "closed_at": slide.closed_at.isoformat() if slide.closed_at else None,
                "frames": slide.frames,
                "rejected": slide.rejected,
                "quarantined": slide.quarantined,
                "receipted": slide.receipted,
                "priority": slide.priority,
            }
            for slide in spool.slides()
        ],
        "unused": [
            {
                "message_id": str(entry.message_id),
                "slide_id": str(entry.slide_id),
                "at": entry.at.isoformat(),
                "outcome": entry.outcome,
                "reason": entry.reason,
                "detail": entry.detail,
                "origin": entry.origin,
            }
            for entry in spool.unused()
        ],
    }


def as_tables(document: dict[str, Any]) -> list[Table]:
    """Return what waits, and the slides."""
    waiting = document["waiting"]
    summary = Table("what", "how many")
    share = waiting["bytes"] / waiting["quota_bytes"]
    summary.add_row("frames that wait for a receipt", f"{waiting['frames']:,}")
    summary.add_row("bytes they take", f"{waiting['bytes']:,} ({share:.1%} of the quota)")
    summary.add_row("the oldest of them", waiting["oldest_at"] or "-")
    kept = document["kept"]
    summary.add_row("quarantined frames' images kept here", f"{kept['files']:,}")
    summary.add_row("bytes they take of the quota", f"{kept['bytes']:,}")
    for name, count in document["counts"].items():
        summary.add_row(f"{name} since the first day", f"{count:,}")
    slides = Table(expand=False)
    slides.add_column("slide", no_wrap=True)
    slides.add_column("your name for it", overflow="fold")
    for name in ("frames", "receipted", "state"):
        slides.add_column(name, no_wrap=True)
    for slide in document["slides"]:
        state = "closed" if slide["closed_at"] else "open"
        state = f"{state}, STAT" if slide["priority"] == "stat" else state
        frames, receipted = str(slide["frames"]), str(slide["receipted"])
        # A label may be anything that a folder may be called, `[/b]` too.
        slides.add_row(slide["accession"], Text(slide["label"]), frames, receipted, state)
    return [summary, slides]


def as_lines(document: dict[str, Any]) -> list[str]:
    """Return a line for each frame that led to no result; a table would cut the paths up."""
    return [
        f"{entry['outcome']}: {entry['origin']}: {entry['reason']} {entry['detail']}".rstrip()
        for entry in document["unused"]
    ]
