"""One example of each answer, for people who read the OpenAPI page."""

from typing import Any

_SLIDE_ID = "0199f3a2-7c1e-7d3b-9a64-5b1f0c2d3e4f"
_FRAME_ID = "0199f3a2-9d02-7a11-8c3e-2f6b7a8c9d0e"
_CELL_ID = "5b0e7a94-3c1d-5f28-9e77-1a2b3c4d5e6f"
_SHA256 = "9c56cc51b374c3ba189210d5b6d4bf57790d351c96c47c02190ecf1e430635ab"
_CURSOR = "WzEyLCIwMTk5ZjNhMi05ZDAyLTdhMTEtOGMzZS0yZjZiN2E4YzlkMGUiXQ"

_FLAG = {
    "code": "blasts-present",
    "text": "9 of 108 named leukocytes look like blasts: review them.",
}
_BY_CLASS = {"blast": 9, "lymphocyte": 62, "neutrophil": 41, "smudge": 4, "unclassified": 2}

_BUNDLE = {"bundle_id": "smears-1", "sha256": _SHA256, "trained": True}
REVISION: dict[str, Any] = {
    "revision": 21,
    "computed_at": "2026-05-04T09:14:31Z",
    "reason": "new-frames",
    "bundle": _BUNDLE,
    "current": True,
}
COUNTS = {"captured": 24, "pending": 0, "with_result": 21, "rejected": 2, "quarantined": 1}
SLIDE: dict[str, Any] = {
    "slide_id": _SLIDE_ID,
    "accession": "S-0C2D3E4F",
    "specimen_id": "3d6f1a0e-52b7-4c1e-8f0a-7b9c2d4e6f81",
    "site": "north",
    "device": "scope-1",
    "opened_at": "2026-05-04T09:12:00Z",
    "slide_name": "LAB-2026-0418",
    "order_id": None,
    "barcode": None,
    "patient": None,
    "priority": "routine",
    "state": "complete",
    "frames_expected": 24,
    "counts": COUNTS,
    "simulated": False,
    "cells": 118,
    "cells_by_class": _BY_CLASS,
    "relabelled": 2,
    "cells_by_class_reviewed": {**_BY_CLASS, "blast": 10, "unclassified": 1},
    "flags": [_FLAG],
    "urgency": 1,
    "review": "ready",
    "changed_since_signing": False,
    "ready_at": "2026-03-02T09:20:00Z",
    "reader_name": None,
    "second_reader_name": None,
    "machine_hidden": False,
    "trained": True,
    "bundle_id": "smears-1",
    "revision": 21,
}
RESULT: dict[str, Any] = {
    "slide_id": _SLIDE_ID,
    "accession": "S-0C2D3E4F",
    "revision": 21,
    "computed_at": "2026-05-04T09:14:31Z",
    "reason": "new-frames",
    "bundle": _BUNDLE,
    "summary": {
        "version": 2,
        "trained": True,
        "fields": 21,
        "cells": 118,
        "cells_by_class": _BY_CLASS,
        "counting": {
            "found": 118,
            "counted": 114,
            "excluded": {"cut-by-border": 3, "seen-before": 1},
            "named": 108,
            "unclassified": 2,
        },
        "differential": [
            {"label": "blast", "cells": 9, "fraction": 0.062, "low": 0.021, "high": 0.098},
            {"label": "lymphocyte", "cells": 59, "fraction": 0.552, "low": 0.449, "high": 0.65},
            {"label": "neutrophil", "cells": 40, "fraction": 0.378, "low": 0.284, "high": 0.477},
        ],
        "not_called": [
            {"label": "basophil", "cells": 0, "fraction": 0.004, "low": 0.0, "high": 0.031},
        ],
        "beside": [{"label": "smudge", "cells": 4, "per_100": 3.5, "low": 0.9, "high": 8.1}],
        "blasts": {
            "cells": 9,
            "leukocytes": 108,
            "unclassified": 2,
            "fraction": 0.062,
            "low": 0.021,
            "high": 0.098,
            "provisional": False,
            "thresholds": [
                {"name": "WHO 2022", "fraction": 0.2, "verdict": "below"},
                {"name": "ICC 2022", "fraction": 0.1, "verdict": "below"},
            ],
        },
        "apl": {"cells": 11, "probability": 0.14, "low": 0.05, "high": 0.23},
        "all_subtype": {
            "fields": 21,
            "shares": [
                {"label": "pre-b", "probability": 0.71},
                {"label": "early-pre-b", "probability": 0.16},
                {"label": "pro-b", "probability": 0.09},
                {"label": "benign", "probability": 0.04},
            ],
        },
        "flags": [_FLAG],
        "urgency": 1,
        "made_by": {
            "bundles": [
                {"bundle_id": "smears-1", "sha256": _SHA256, "trained": True, "cells": 118}
            ],
            "pixel_pipelines": ["1"],
            "finders": ["classical-1"],
            "edge_versions": ["0.1.0"],
        },
    },
    "not_enough_cells": None,
}
CELL: dict[str, Any] = {
    "cell_id": _CELL_ID,
    "frame_id": _FRAME_ID,
    "slide_id": _SLIDE_ID,
    "sequence": 4,
    "index": 0,
    "box": {"left": 412, "top": 96, "right": 540, "bottom": 221},
    "confidence": 0.94,
    "label": "blast",
    "probability": 0.75,
    "probabilities": {
        "cell-class": {
            "resnet34": {"blast": 0.85, "lymphocyte": 0.1, "smudge": 0.05},
            "densenet121": {"blast": 0.65, "lymphocyte": 0.3, "smudge": 0.05},
            "average": {"blast": 0.75, "lymphocyte": 0.2, "smudge": 0.05},
        }
    },
    "task": "cell-class",
    "likeliest": "blast",
    "perhaps": None,
    "disagreement": 0.2,
    "certainty": 0.6,
    "heat_map": {
        "label": "blast",
        "columns": 5,
        "rows": 5,
        "image": f"/api/v1/cells/{_CELL_ID}/heat-map.png",
    },
    "counted": True,
    "excluded": None,
    "same_as": None,
    "reviewed": None,
    "label_version": 0,
    "image": f"/api/v1/cells/{_CELL_ID}/image",
}
FIELD: dict[str, Any] = {
    "frame_id": _FRAME_ID,
    "slide_id": _SLIDE_ID,
    "sequence": 4,
    "captured_at": "2026-05-04T09:12:09Z",
    "state": "result",
    "source": "folder",
    "edge_version": "0.1.0",
    "width": 1280,
    "height": 960,
    "um_per_px": 0.1,
    "scale_source": "configured",
    "pixel_pipeline": "1",
    "finder": "classical-1",
    "measures": {"blur": 2.9},
    "cells": 1,
    "image": f"/api/v1/fields/{_FRAME_ID}/image",
    "thumbnail": f"/api/v1/frames/{_FRAME_ID}/thumbnail",
}
_FIELD_SAID = {
    "all-subtype": {"average": {"benign": 0.05, "early-pre-b": 0.15, "pre-b": 0.7, "pro-b": 0.1}}
}
FIELD_DETAIL = {**FIELD, "found": [CELL], "probabilities": _FIELD_SAID}
FRAME: dict[str, Any] = {
    "frame_id": _FRAME_ID,
    "slide_id": _SLIDE_ID,
    "accession": "S-0C2D3E4F",
    "slide_name": "LAB-2026-0418",
    "site": "north",
    "device": "scope-1",
    "sequence": 5,
    "source": "folder",
    "captured_at": "2026-05-04T09:12:11Z",
    "received_at": "2026-05-04T09:12:12Z",
    "state": "quarantined",
    "reason": "truncated",
    "reasons": ["truncated"],
    "detail": "The image file ends too early. Was it still being written or copied?",
    "explanation": "The image file ends too early: it was still being written or copied.",
    "thumbnail": None,
}
DEAD_LETTER: dict[str, Any] = {
    "dead_letter_id": "0199f3a4-1b2c-7d3e-8f40-5a6b7c8d9e0f",
    "topic": "hemaline/v1/north/scope-1/field",
    "message_id": None,
    "reason": "not-cbor",
    "detail": "the payload is not CBOR",
    "explanation": "The message is not in Hemaline's format.",
    "size": 5120,
    "received_at": "2026-05-04T09:15:00Z",
}
DEVICE: dict[str, Any] = {
    "site": "north",
    "device": "scope-1",
    "state": "working",
    "reason": "captures",
    "connection": "connected",
    "connection_at": "2026-05-04T06:58:02Z",
    "telemetry_at": "2026-05-04T09:15:20Z",
    "capture_at": "2026-05-04T09:15:01Z",
    "receipt_at": "2026-05-04T09:14:58Z",
    "problems": [],
    "attention": [],
    "edge_version": "0.1.0",
    "spool_frames": 3,
    "spool_bytes": 2400000,
    "spool_quota_bytes": 21474836480,
    "waiting_since": "2026-05-04T09:15:01Z",
    "disk_free_bytes": 81000000000,
    "clock_ahead_s": -0.1,
    "temperature_c": 51.5,
}
BUNDLE: dict[str, Any] = {
    "sha256": _SHA256,
    "bundle_id": "smears-1",
    "trained": True,
    "first_used_at": "2026-05-04T08:00:00Z",
    "active": "all sites",
    "trial": None,
    "manifest": {"schema_version": 2, "bundle_id": "smears-1"},
}

LABEL: dict[str, Any] = {
    "cell_id": _CELL_ID,
    "label": "promyelocyte",
    "version": 1,
    "by_name": "Ada Alder",
    "at": "2026-05-04T10:02:11Z",
    "undone": False,
}
LABELS: dict[str, Any] = {"labels": [LABEL]}
CELL_LABELS: dict[str, Any] = {"current": LABEL, "history": [LABEL]}
MORPHOLOGY: dict[str, Any] = {
    "version": 2,
    "red_cells": {"schistocytes": 1, "anisocytosis": 2, "teardrop-cells": 0},
    "platelets": {"giant-platelets": 2},
    "platelet_estimate": "decreased",
    "by_name": "Ada Alder",
    "at": "2026-05-04T10:05:02Z",
}
CONFIGURATION: dict[str, Any] = {
    "state": "applied",
    "own_version": 4,
    "own": {"telemetry_s": 60},
    "why": "less traffic on the thin line",
    "made_by_name": "Olga Operator",
    "made_at": "2026-05-04T10:05:02Z",
    "version": 4,
    "sha256": "8b3d9f5a2f0f7f3c0d0a4c5a9b7f1e2d3c4b5a69788796a5b4c3d2e1f0a9b8c7",
    "whole": {"telemetry_s": 60, "log_level": "warning"},
    "report": {
        "version": 4,
        "sha256": "8b3d9f5a2f0f7f3c0d0a4c5a9b7f1e2d3c4b5a69788796a5b4c3d2e1f0a9b8c7",
        "outcome": "applied",
        "in_force": 4,
        "detail": None,
        "reported_at": "2026-05-04T10:05:11Z",
    },
}
COMMAND: dict[str, Any] = {
    "command_id": "0199f3b2-4d1e-7c3b-8a64-5b1f0c2d3e4f",
    "site": "north",
    "device": "scope-1",
    "verb": "flush",
    "arguments": {},
    "slide_id": None,
    "why": "the line is back",
    "asked_by_name": "Olga Operator",
    "asked_at": "2026-05-04T10:05:02Z",
    "expires_at": "2026-05-05T10:05:02Z",
    "approved_by_name": None,
    "state": "done",
    "sent_at": "2026-05-04T10:05:04Z",
    "changed_at": "2026-05-04T10:05:05Z",
    "reason": None,
    "detail": "12 messages waited to be sent",
    "lines": None,
}
COMMANDS: dict[str, Any] = {"commands": [COMMAND]}
COMMENT: dict[str, Any] = {
    "comment_id": "0199f3b0-1c2d-7e3f-8a4b-5c6d7e8f9a0b",
    "slide_id": _SLIDE_ID,
    "frame_id": _FRAME_ID,
    "cell_id": _CELL_ID,
    "text": "Auer rods.",
    "by_name": "Ada Alder",
    "at": "2026-05-04T10:03:40Z",
}
TIMELINE_EVENT: dict[str, Any] = {
    "event_id": "0199f3b4-2c1e-7d3b-9a64-5b1f0c2d3e4f",
    "at": "2026-05-04T09:31:12Z",
    "actor_name": "Ada Adler",
    "action": "label",
    "subject": "cell",
    "subject_id": _CELL_ID,
    "detail": "blast",
}
COMMENTS: dict[str, Any] = {"comments": [COMMENT]}
SESSION: dict[str, Any] = {
    "id": "0199f3a2-7c1e-7d3b-9a64-5b1f0c2d3e4f",
    "name": "r.virchow",
    "full_name": "Rudolf Virchow",
    "kind": "person",
    "grants": [{"role": "haematologist", "site": "north"}],
    "scopes": None,
    "authenticated_at": "2026-05-04T08:00:00Z",
    "csrf_token": _SHA256,
}
_SIGNATURE_ID = "0199f3c0-2d3e-7f40-9b5c-6d7e8f9a0b1c"
SIGNATURE: dict[str, Any] = {
    "signature_id": _SIGNATURE_ID,
    "revision": 3,
    "signed_by_name": "Ada Alder",
    "signed_at": "2026-05-04T10:12:40Z",
    "amends": None,
    "reason": None,
    "policy_version": 0,
    "report_sha256": _SHA256,
    "report": f"/api/v1/slides/{_SLIDE_ID}/signatures/{_SIGNATURE_ID}",
}
REVIEW: dict[str, Any] = {
    "slide_id": _SLIDE_ID,
    "state": "in-review",
    "version": 4,
    "revision": 3,
    "reader_name": "Ada Alder",
    "second_reader_name": None,
    "your_part": "first-reader",
    "second_reader_wanted": [],
    "agreement": None,
    "changed_since_signing": False,
    "policy_version": 0,
    "to_see": [{"cell_id": _CELL_ID, "reason": "class", "seen": False}],
    "cells_unseen": 1,
    "fields_unseen": 1,
    "signatures": [],
    "read_so_far": {
        "named": 2,
        "differential": [
            {
                "label": "blast",
                "cells": 11,
                "fraction": 0.2,
                "low": 0.118,
                "high": 0.324,
                "of_which": {},
            },
            {
                "label": "neutrophil",
                "cells": 44,
                "fraction": 0.8,
                "low": 0.676,
                "high": 0.882,
                "of_which": {"neutrophil-band": 3},
            },
        ],
        "beside": [],
        "blasts": None,
    },
    "machine": {
        "hidden": False,
        "order": "at-once",
        "hidden_from_second": False,
        "named": 2,
        "to_name": None,
    },
    "patterns": {
        "notice": "Which patterns the differential fits. For research use only; no diagnosis.",
        "rules": {
            "title": "Hemaline's patterns of a blood smear",
            "version": "1",
            "sha256": _SHA256,
        },
        "model": {
            "source": "model",
            "cells": 108,
            "named_by_people": None,
            "provisional": False,
            "silent": None,
            "patterns": [
                {
                    "pattern": "cll",
                    "name": "Chronic lymphocytic leukaemia (CLL)",
                    "verdict": "may-fit",
                    "speaks_for": [
                        {
                            "name": "Lymphocytes",
                            "wanted": "40% or more",
                            "state": "holds",
                            "low": 0.449,
                            "high": 0.65,
                            "unit": "share",
                            "source": "Adults: Dacie and Lewis, 12th ed. 2017",
                        }
                    ],
                    "speaks_against": [],
                    "undecided": [],
                    "missing": ["Lymphocytes in a volume: not known", "Immunophenotype"],
                }
            ],
        },
        "read": None,
    },
}
READINGS: dict[str, Any] = {
    "readings": [
        {
            "number": number,
            "revision": 3,
            "reader_name": reader,
            "finished_at": "2026-03-02T09:31:00Z",
            "looked_before": False,
            "cells_by_class": {"blast": 31, "neutrophil": 40},
            "labels": {_CELL_ID: "blast"},
        }
        for number, reader in enumerate(("Ada Alder", "Bob Birch"), 1)
    ],
    "agreement": {
        "kappa": {"blast": 1.0, "neutrophil": 1.0},
        "cells_differing": [],
        "blasts_differing": [],
        "thresholds_differing": [],
        "same_revision": True,
        "holds": True,
    },
}
READING_FINISHED: dict[str, Any] = {
    "state": "awaiting-second-reader",
    "version": 5,
    "signature": None,
}
SEEN: dict[str, Any] = {"cells_unseen": 0, "fields_unseen": 1}
_ORDER_ID = "019a1f6c-2b1e-7c3d-8a64-5b1f0c2d3e50"
ORDER: dict[str, Any] = {
    "order_id": _ORDER_ID,
    "site": "north",
    "barcode": "24-000123",
    "ordered_at": "2026-03-02T07:55:00Z",
    "blood_count": {
        "wbc": {"value": 31.4, "unit": "10*9/L"},
        "hb": {"value": 9.1, "unit": "g/dL"},
        "plt": {"value": 41.0, "unit": "10*9/L"},
    },
    "patient": {
        "patient_id": "019a1f6c-2b1e-7c3d-8a64-5b1f0c2d3e51",
        "identifier": "4711",
        "name": "Example, Erin",
        "birth_date": "1980-05-17",
    },
}
ORDER_ADDED: dict[str, Any] = {"order_id": _ORDER_ID, "barcode": "24-000123", "new": True}
LINK_CHANGED: dict[str, Any] = {
    "slide_id": _SLIDE_ID,
    "version": 5,
    "order_id": _ORDER_ID,
    "before": None,
}
SLIDE_ORDER: dict[str, Any] = {
    "slide_id": _SLIDE_ID,
    "version": 5,
    "order": ORDER,
    "linked_by_name": "Tom Tailor",
    "linked_at": "2026-03-02T09:12:00Z",
    "asked": None,
    "previous": [
        {
            "slide_id": "019a1f6c-2b1e-7c3d-8a64-5b1f0c2d3e52",
            "accession": "S-0C2D3E52",
            "opened_at": "2026-02-16T09:00:00Z",
            "review": "signed",
            "blasts": 0.18,
            "signed": True,
        }
    ],
}


def answers(example: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI's description of a 200 with this example."""
    return {200: {"content": {"application/json": {"example": example}}}}


def pages(example: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI's description of a 200 with a page that holds this example."""
    return answers({"items": [example], "next": _CURSOR})


def sends(media_type: str, description: str) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI's description of a 200 whose body is bytes or text, not JSON."""
    return {200: {"content": {media_type: {"example": description}}, "description": description}}


OVERRIDES: dict[str, Any] = {
    "days": 90,
    "overrides": [
        {
            "site": "north",
            "device": "scope-1",
            "bundle_id": "smears-1",
            "bundle_sha256": _SHA256,
            "machine_hidden": False,
            "model_class": "lymphocyte",
            "cells": 412,
            "overridden": 9,
            "called": {"lymphocyte-variant": 6, "blast": 3},
        }
    ],
}
ADDED_CELL: dict[str, Any] = {
    "added_cell_id": "0198a9f0-0000-7000-8000-0000000000ac",
    "slide_id": _SLIDE_ID,
    "frame_id": FIELD["frame_id"],
    "left": 340,
    "top": 220,
    "right": 440,
    "bottom": 320,
    "label": "monocyte",
    "by_name": "Ada Alder",
    "at": "2026-03-02T09:28:00Z",
}
ADDED_CELLS: dict[str, Any] = {"added": [ADDED_CELL]}
REFERENCE_CELL: dict[str, Any] = {
    "cell_id": "0198a9f0-0000-7000-8000-0000000000ad",
    "label": "promyelocyte",
    "by_name": "Ada Alder",
    "at": "2026-03-02T09:28:00Z",
    "image": "/api/v1/cells/0198a9f0-0000-7000-8000-0000000000ad/image",
}
