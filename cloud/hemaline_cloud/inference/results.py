"""From what went into a slide's result to the result: at its making, and when it is made again."""

from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from hemaline_cloud.database.results import bundle_manifest
from hemaline_cloud.database.revision_inputs import RevisionInputs
from hemaline_cloud.database.revisions import stored_revision
from hemaline_cloud.database.tally import CellCount, tally
from hemaline_cloud.inference.aggregate import averaged_tasks, summarise
from hemaline_cloud.inference.roles import BundleRoles, roles_in, roles_of
from hemaline_shared.errors import PermanentError
from hemaline_shared.model_manifest import Manifest


class ResultMaker:
    """Makes results by the roles and thresholds of one bundle; the same inputs, the same result."""

    def __init__(self, sha256: str, manifest: Manifest) -> None:
        self._running = roles_of(manifest)
        self._roles = {sha256: self._running}
        self._asked = averaged_tasks(manifest)

    def result_of(self, connection: Connection, inputs: RevisionInputs) -> dict[str, Any]:
        """Return a `SlideSummary` as JSON."""
        counted = tally(connection, inputs, self._asked)
        roles = {one.bundle_sha256: self._roles_of(connection, one) for one in counted.cells}
        return summarise(counted, roles, self._running).model_dump(mode="json")

    def _roles_of(self, connection: Connection, count: CellCount) -> BundleRoles:
        """Return what a label means by the bundle that gave it; a bundle never changes."""
        sha256 = count.bundle_sha256
        if sha256 not in self._roles:
            self._roles[sha256] = roles_in(bundle_manifest(connection, sha256))
        return self._roles[sha256]


def made_again(connection: Connection, slide_id: UUID, revision: int) -> dict[str, Any]:
    """Compute a revision again from what the database keeps of it.

    Bit for bit what it was, by the version of the software that made it.

    Raises:
        PermanentError: `no-such-revision`, or `no-inputs` where it was made before these were kept.
    """
    stored = stored_revision(connection, slide_id, revision)
    if stored.inputs is None:
        raise PermanentError(
            "no-inputs",
            f"Revision {revision} of slide {slide_id} was made by a version that did not keep "
            "which cells went in.",
        )
    manifest = Manifest.model_validate(bundle_manifest(connection, stored.bundle_sha256))
    return ResultMaker(stored.bundle_sha256, manifest).result_of(connection, stored.inputs)
