"""What a fleet's operators set on devices, as both ends read it, and how it travels."""

import hashlib
import json
from collections.abc import Iterable
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hemaline_shared.errors import PermanentError
from hemaline_shared.messages import WireModel
from hemaline_shared.validation import sentences

_Version: TypeAlias = Annotated[int, Field(ge=1, le=2**31 - 1)]
_Sha256: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Grey: TypeAlias = Annotated[float, Field(ge=0, le=255)]
_Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class QualityConfiguration(_Part):
    """Of `hemaline_edge.quality.QualityLimits`, what operators set; None: as the device has it."""

    blur: float | None = Field(default=None, ge=0, le=50)
    darkest_light: _Grey | None = None
    not_lit: _Share | None = None
    burnt_out: _Share | None = None
    fewest_covered: _Share | None = None
    most_covered: _Share | None = None
    same_view: float | None = Field(default=None, ge=0, le=255)


class DeviceConfiguration(_Part):
    """One document: what it leaves out is as the device's own file has it.

    Attributes:
        spool_quota_bytes: What may wait in the spool.
        capture_interval_s: Between two frames of a camera.
        telemetry_s: How often the device tells how it is.
        log_level: From which level on it logs.
        quality: Where its quality gate says no.
    """

    spool_quota_bytes: int | None = Field(default=None, ge=1024**2, le=2**53)
    capture_interval_s: float | None = Field(default=None, ge=0.1, le=3600)
    telemetry_s: float | None = Field(default=None, ge=1, le=3600)
    log_level: Literal["debug", "info", "warning", "error"] | None = None
    quality: QualityConfiguration | None = None


class DesiredConfiguration(WireModel):
    """What a device is to be set to; retained. `content` is JSON, and `sha256` is of its UTF-8.

    As text it has one hash, and a key that the device does not know is refused, not dropped.
    """

    version: _Version
    sha256: _Sha256
    content: str = Field(max_length=16_384)


class ReportedConfiguration(WireModel):
    """What became of the desired configuration of this version; retained.

    `in_force` is the version that holds now; 0: the device's own file alone.
    """

    version: _Version
    sha256: _Sha256
    outcome: Literal["applied", "refused", "reverted"]
    in_force: int = Field(ge=0, le=2**31 - 1)
    detail: str | None = Field(default=None, max_length=1000)


def merged(documents: Iterable[DeviceConfiguration]) -> DeviceConfiguration:
    """Return the whole document; a later one wins over those before it, setting by setting."""
    whole: dict[str, Any] = {}
    for document in documents:
        said = document.model_dump(exclude_none=True)
        quality = {**whole.get("quality", {}), **said.get("quality", {})}
        whole |= said | ({"quality": quality} if quality else {})
    return DeviceConfiguration.model_validate(whole)


def desired(version: int, configuration: DeviceConfiguration) -> DesiredConfiguration:
    """Return what travels."""
    said = configuration.model_dump(exclude_none=True)
    content = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return DesiredConfiguration(version=version, sha256=_hash(content), content=content)


def read_configuration(content: str) -> DeviceConfiguration:
    """Read a document.

    Raises:
        PermanentError: `invalid-configuration`, with a sentence for each setting that is wrong.
    """
    try:
        return DeviceConfiguration.model_validate_json(content)
    except ValidationError as error:
        raise PermanentError(
            "invalid-configuration", sentences(error, "the document", "setting")
        ) from None


def read_desired(message: DesiredConfiguration) -> DeviceConfiguration:
    """Read what came, once its hash is seen to be right.

    Raises:
        PermanentError: `wrong-hash` or `invalid-configuration`.
    """
    if _hash(message.content) != message.sha256:
        raise PermanentError("wrong-hash", "the document is not the one whose hash came with it")
    return read_configuration(message.content)


def _hash(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()
