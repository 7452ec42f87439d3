"""What `manifest.json` of a model bundle says; `docs/model-bundle.md` shows one."""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hemaline_shared.pixels.crops import CANONICAL_UM_PER_PX, CROP_PX

MANIFEST_VERSION = 1
UNCLASSIFIED = "unclassified"

_Name: TypeAlias = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
_Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class NetworkEntry(_Part):
    """One network of the bundle: its file, what the file must hash to, and its calibration."""

    name: _Name
    file: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.onnx$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    temperature: float = Field(default=1.0, gt=0)
    """The logits are divided by it before the softmax."""


class InputSpec(_Part):
    """What the networks take: RGB bytes, shape (n, crop_px, crop_px, 3), at one scale."""

    layout: Literal["nhwc-uint8-rgb"] = "nhwc-uint8-rgb"
    crop_px: int = CROP_PX
    um_per_px: float = CANONICAL_UM_PER_PX

    @model_validator(mode="after")
    def _is_what_the_pipeline_cuts(self) -> "InputSpec":
        if (self.crop_px, self.um_per_px) != (CROP_PX, CANONICAL_UM_PER_PX):
            raise ValueError(
                f"crops are {CROP_PX} px at {CANONICAL_UM_PER_PX} µm/px, "
                f"not {self.crop_px} px at {self.um_per_px}"
            )
        return self


class Manifest(_Part):
    """A bundle's name, classes, networks and thresholds, and where they come from.

    An untrained bundle has no operating point: nothing it says may look as if it were learned.
    """

    schema_version: Literal[1] = 1
    bundle_id: _Name
    task: Literal["cell-class"] = "cell-class"
    trained: bool
    labels: tuple[_Name, ...] = Field(min_length=2, max_length=64)
    """In the order of the logits."""
    blasts: tuple[_Name, ...] = ()
    """The labels that count as blasts."""
    outside_differential: tuple[_Name, ...] = ()
    """Labels that are no intact leukocyte: counted beside the differential, not in it."""
    networks: tuple[NetworkEntry, ...] = Field(min_length=1, max_length=8)
    input: InputSpec = InputSpec()
    pixel_pipeline: str
    operating_points: dict[_Name, _Share] = Field(default_factory=dict)
    """The probability below which a cell of that label is `unclassified`."""
    provenance: dict[str, Any] = Field(default_factory=dict)
    research_use_only: Literal[True] = True

    @model_validator(mode="after")
    def _is_consistent(self) -> "Manifest":
        if len(set(self.labels)) < len(self.labels) or UNCLASSIFIED in self.labels:
            raise ValueError(f"labels must differ, and none may be called {UNCLASSIFIED}")
        if len({network.name for network in self.networks}) < len(self.networks):
            raise ValueError("networks must have different names")
        if len({network.file for network in self.networks}) < len(self.networks):
            raise ValueError("networks must have different files")
        unknown = {*self.blasts, *self.outside_differential} - set(self.labels)
        if unknown:
            raise ValueError(f"{', '.join(sorted(unknown))}: not among the labels")
        if set(self.operating_points) != (set(self.labels) if self.trained else set()):
            raise ValueError(
                "a trained bundle has an operating point for each label, an untrained one has none"
            )
        return self
