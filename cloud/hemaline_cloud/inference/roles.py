"""What a bundle says of its labels: which are blasts, which stand beside the differential."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from hemaline_cloud.inference.averages import APL, APL_TASK
from hemaline_shared.model_manifest import Confusion, Manifest, TaskEntry


@dataclass(frozen=True, slots=True)
class BundleRoles:
    """The roles of the labels that one bundle names cells by, and how often it errs.

    From a bundle that is not `trained`, no label means anything.

    Attributes:
        labels: Of the task that names cells, in its order.
        blasts: Those that count as blasts.
        outside_differential: Those that are no intact leukocyte.
        confusion: None where nobody measured the bundle's errors.
        apl_point: The mean probability from which on cells look like APL; None: not asked.
    """

    trained: bool
    labels: tuple[str, ...] = ()
    blasts: frozenset[str] = frozenset()
    outside_differential: frozenset[str] = frozenset()
    confusion: Confusion | None = None
    apl_point: float | None = None

    @property
    def leukocytes(self) -> tuple[str, ...]:
        """The labels that the differential counts."""
        return tuple(label for label in self.labels if label not in self.outside_differential)


UNKNOWN_ROLES = BundleRoles(trained=False)
"""Of a bundle whose manifest this version cannot read: its labels are not believed."""


def roles_of(manifest: Manifest) -> BundleRoles:
    """Return the roles of the labels that the bundle's cells are named by."""
    task, apl = manifest.cell_task, apl_task(manifest)
    if task is None:
        return BundleRoles(manifest.trained)
    return BundleRoles(
        manifest.trained,
        task.labels,
        frozenset(task.blasts),
        frozenset(task.outside_differential),
        task.confusion,
        apl.operating_points.get(APL) if apl else None,
    )


def roles_in(stored_manifest: Mapping[str, Any]) -> BundleRoles:
    """Return the roles in a manifest as the database keeps it."""
    try:
        return roles_of(Manifest.model_validate(stored_manifest))
    except ValidationError:
        return UNKNOWN_ROLES


def apl_task(manifest: Manifest) -> TaskEntry | None:
    """Return the task that asks for APL; what is asked of mature cells too is another question."""
    cells = (task for task in manifest.tasks if task.view == "cell" and task.asked_of)
    return next((task for task in cells if task.name == APL_TASK), None)
