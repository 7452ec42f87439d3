"""Write a model bundle's directory, complete or not at all."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from hemaline_shared.model_manifest import MANIFEST_FILE, Manifest


def save_bundle(path: Path, manifest: Manifest, files: Mapping[str, bytes]) -> None:
    """Write a bundle as a whole: a directory of that name exists complete, or not at all.

    Args:
        path: The new directory; if another process completes it first, its copy stays.
        manifest: Names each of `files` with its hash.
        files: File name -> content.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        for name, content in files.items():
            (draft / name).write_bytes(content)
        (draft / MANIFEST_FILE).write_text(
            manifest.model_dump_json(indent=2) + "\n", encoding="utf-8"
        )
        draft.chmod(0o755)
        if not (path / MANIFEST_FILE).exists():
            draft.rename(path)
    except OSError:
        if not (path / MANIFEST_FILE).exists():
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
