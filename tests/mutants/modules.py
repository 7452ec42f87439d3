"""The modules whose tests must notice a wrong change, and which tests are theirs."""

CORE: dict[str, tuple[str, ...]] = {
    "cloud/hemaline_cloud/database/work.py": ("tests/integration/database/test_work.py",),
    "cloud/hemaline_cloud/inference/aggregate.py": (
        "tests/unit/cloud/inference/test_aggregate.py",
    ),
    "cloud/hemaline_cloud/inference/batching.py": ("tests/unit/cloud/inference/test_batching.py",),
    "cloud/hemaline_cloud/blasts.py": (
        "tests/unit/cloud/test_blasts.py",
        "tests/unit/cloud/inference/test_aggregate.py",
    ),
    "cloud/hemaline_cloud/inference/leasing.py": (
        "tests/integration/inference/test_leasing.py",
        "tests/integration/inference/test_worker.py",
    ),
    "cloud/hemaline_cloud/inference/places.py": (
        "tests/unit/cloud/inference/test_places.py",
        "tests/integration/inference/test_counted_cells.py",
    ),
    "cloud/hemaline_cloud/ingest/verify.py": (
        "tests/unit/cloud/ingest/test_verify.py",
        "tests/integration/ingest/test_bad_input.py",
    ),
    "cloud/hemaline_cloud/objects/directory.py": (
        "tests/unit/cloud/objects/test_directory.py",
        "tests/contract/test_object_store.py",
    ),
    "edge/hemaline_edge/capture/folder.py": ("tests/unit/edge/capture/test_folder.py",),
    "edge/hemaline_edge/focus.py": ("tests/unit/edge/test_focus.py",),
    "edge/hemaline_edge/publisher/window.py": ("tests/unit/edge/publisher/test_window.py",),
    "edge/hemaline_edge/quality.py": ("tests/unit/edge/test_quality.py",),
    "edge/hemaline_edge/spool/spool.py": ("tests/unit/edge/spool", "tests/unit/edge/test_clock.py"),
    "edge/hemaline_edge/spool/writing.py": ("tests/unit/edge/spool",),
    "shared/hemaline_shared/cbor.py": ("tests/unit/shared/test_cbor.py",),
    "shared/hemaline_shared/pixels/header.py": (
        "tests/unit/shared/pixels/test_structure.py",
        "tests/unit/shared/pixels/test_decode.py",
    ),
    "shared/hemaline_shared/pixels/jpeg.py": (
        "tests/unit/shared/pixels/test_structure.py",
        "tests/unit/shared/pixels/test_decode.py",
    ),
    "shared/hemaline_shared/pixels/scale.py": ("tests/unit/shared/pixels/test_scale.py",),
}
"""Module -> the tests that speak of it, from the repository's root."""
