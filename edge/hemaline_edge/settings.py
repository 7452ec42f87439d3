"""The agent's settings: from the environment (`HEMALINE_…`, nested by `__`) or a TOML file."""

import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    SecretStr,
    field_validator,
    model_validator,
)

from hemaline_edge.quality import QualityLimits
from hemaline_shared.barcodes import CheckDigit
from hemaline_shared.broker import BrokerSettings
from hemaline_shared.errors import PermanentError
from hemaline_shared.health import HealthSettings
from hemaline_shared.pixels.leukocytes import FinderKind
from hemaline_shared.settings import ProcessSettings, read_settings
from hemaline_shared.topics import DeviceName


def _fit_for_a_topic(name: str) -> str:
    if not re.fullmatch("[a-z0-9][a-z0-9-]{0,62}", name):
        raise ValueError(
            "write it in small letters a-z, digits and hyphens, 63 at most, as scope-3"
        )
    return name


_Name: TypeAlias = Annotated[str, AfterValidator(_fit_for_a_topic)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SpoolSettings(_Part):
    """Where captured frames wait for their receipts, and how much room they may take."""

    path: Path
    quota_bytes: int = Field(default=20 * 1024**3, ge=1024**2)
    disk_floor_bytes: int = Field(default=512 * 1024**2, ge=0)
    """Capture stops before the disk has less free than this."""


class FolderSettings(_Part):
    """A folder into which microscope software puts images."""

    kind: Literal["folder"] = "folder"
    path: Path
    watch: bool = True
    """False: take what is there, close the slides, end."""
    slide_column: str | None = None
    """Which column of the folder's manifest.tsv names the slide; by default `slide`."""
    settle_s: float = Field(default=1.0, ge=0)
    """A file is whole when its size and time have not changed for so long."""
    give_up_s: float = Field(default=30.0, ge=0)
    """A file that is no whole image so long after its last change is quarantined."""
    sweep_s: float = Field(default=10.0, gt=0)
    """Look through the folder so often, besides the system's own notices: SMB and NFS send none."""


class CameraSettings(_Part):
    """A camera that OpenCV opens: a device's number, a video file, an rtsp:// address."""

    kind: Literal["camera"] = "camera"
    device: SecretStr
    """May hold a password (rtsp://user:password@…), so it is never shown."""
    interval_s: float = Field(default=2.0, ge=0)
    """Between two frames; of a video file, in the video's own time."""
    slide: str = "camera"
    """How labels of slides begin on this device."""
    pause_minutes: float = Field(default=5.0, gt=0)
    """When the view has stood still for so long, the next change begins a new slide."""
    fields_per_slide: int = Field(default=200, ge=1)
    """After so many fields, too."""
    width: int | None = Field(default=None, ge=1)
    height: int | None = Field(default=None, ge=1)

    @field_validator("device")
    @classmethod
    def _can_be_read(cls, device: SecretStr) -> SecretStr:
        _check_address(device.get_secret_value())
        return device

    @property
    def is_file(self) -> bool:
        """Whether the device is a video file, which has an end."""
        return Path(self.device.get_secret_value()).is_file()


class SimulatorSettings(_Part):
    """Drawn smears, for demonstrations and load tests; never for claims of accuracy."""

    kind: Literal["simulator"] = "simulator"
    seed: int = Field(default=1, ge=0)
    slides: int = Field(default=3, ge=1)
    fields: int = Field(default=10, ge=1)
    """Fields a slide."""
    interval_s: float = Field(default=0.0, ge=0)
    width: int = Field(default=1280, ge=256)
    height: int = Field(default=960, ge=256)


SourceSettings: TypeAlias = Annotated[
    FolderSettings | CameraSettings | SimulatorSettings, Field(discriminator="kind")
]


class PublisherSettings(_Part):
    """How spooled messages travel."""

    window_messages: int = Field(default=16, ge=1)
    """Messages under way without a receipt, at most."""
    window_bytes: int = Field(default=16 * 1024**2, ge=1)
    receipt_timeout_s: float = Field(default=10.0, gt=0)
    """A message without a receipt is sent again after this, then ever more rarely."""
    slowest_resend_s: float = Field(default=300.0, gt=0)
    inline_limit_bytes: int = Field(default=1024**2, ge=0)
    """Images up to this size travel inside the message, larger ones by claim check."""
    upload_timeout_s: float = Field(default=60.0, gt=0)
    upload_hosts: tuple[str, ...] = ()
    """Hosts that uploads may go to without https; with https they may go to any."""
    upload_ca: Path | None = None
    """A file of PEM certificates to trust for uploads, in place of the system's."""
    unreadable_tries: int = Field(default=8, ge=1)
    """A spooled frame that cannot be read so often, while others can, is quarantined."""


class EnrolmentSettings(_Part):
    """Where this device's certificate comes from: a server that speaks EST (RFC 7030)."""

    server: HttpUrl
    """As https://HOST:PORT."""
    ca: Path
    """A file of PEM certificates: the authority's root."""
    check_s: float = Field(default=600.0, gt=0)
    """So often the agent looks whether half of the certificate's time is over; then it renews."""

    @field_validator("server")
    @classmethod
    def _is_encrypted(cls, server: HttpUrl) -> HttpUrl:
        if server.scheme != "https":
            raise ValueError("certificates come by https only")
        return server


class PageSettings(_Part):
    """The page for the technologist at the microscope. It has no log-in."""

    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8770, ge=0, le=65535)
    names: tuple[str, ...] = ()
    """Names by which browsers reach it, beside those of this computer itself."""
    check_digit: CheckDigit = "none"
    """How the codes on the laboratory's slides end; a name that does not is refused."""


class EdgeSettings(ProcessSettings):
    """`hemaline-edge`."""

    site: _Name
    device: _Name
    source: SourceSettings
    spool: SpoolSettings
    broker: BrokerSettings = BrokerSettings()
    enrolment: EnrolmentSettings | None = None
    publisher: PublisherSettings = PublisherSettings()
    quality: QualityLimits = QualityLimits()
    health: HealthSettings = HealthSettings()
    page: PageSettings | None = None
    um_per_px: float | None = Field(default=None, ge=0.001, le=10)
    """The optics' scale; without it, the red cells of the device's fields tell."""
    finder: FinderKind = "combined"
    """What finds white cells: `classical` rules, the `learned` network, or both `combined`."""
    priority: Literal["routine", "stat"] = "routine"
    """`stat`: every slide of this run goes before routine ones, here and in the laboratory."""
    send_slide_names: bool = False
    """Whether what slides are called here leaves the device. Only where no patient is named."""
    slide_idle_minutes: float = Field(default=15.0, gt=0)
    """A slide without a new frame for so long is closed."""
    telemetry_s: float = Field(default=30.0, gt=0)

    @property
    def has_an_end(self) -> bool:
        """Whether the source ends by itself."""
        source = self.source
        if isinstance(source, FolderSettings):
            return not source.watch
        return isinstance(source, SimulatorSettings) or source.is_file

    @property
    def names_policy(self) -> str:
        """What becomes of the slides' own names, in a sentence for whoever runs the device."""
        if self.send_slide_names:
            return (
                "slides' own names leave this device (send_slide_names is true): right only where "
                "no folder or list is named after a patient"
            )
        return (
            "slides' own names stay on this device, and the portal shows accessions only; where no "
            "patient is named, send_slide_names = true sends them"
        )

    @property
    def name(self) -> DeviceName:
        """Who this device is on the wire."""
        return DeviceName(self.site, self.device)

    @model_validator(mode="after")
    def _spool_lies_outside(self) -> "EdgeSettings":
        if isinstance(self.source, FolderSettings):
            folder = self.source.path.absolute()
            if self.spool.path.absolute().is_relative_to(folder):
                raise ValueError(
                    f"the spool ({self.spool.path}) lies inside the watched folder ({folder}): "
                    "it would capture itself; put it elsewhere"
                )
        return self


def load_settings(file: Path | None) -> EdgeSettings:
    """Read the settings.

    Raises:
        PermanentError: `bad-settings`, with one line for each field that is wrong.
    """
    return read_settings(EdgeSettings, _read_toml(file) if file else None)


def _read_toml(file: Path) -> dict[str, object]:
    try:
        # Windows' editors put a mark of three bytes before the text.
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise PermanentError(
            "bad-settings", f"{file} is no UTF-8 text: save it again with that encoding"
        ) from error
    except tomllib.TOMLDecodeError as error:
        hint = "; put a path with backslashes between single quotes" if "hex" in str(error) else ""
        raise PermanentError("bad-settings", f"{file} is no TOML: {error}{hint}") from error
    except OSError as error:
        raise PermanentError(
            "bad-settings", f"{file} cannot be read: {error.strerror or error}"
        ) from error


_ADDRESS = "write rtsp://HOST:PORT/PATH, with USER:PASSWORD@ before the host"


def _check_address(device: str) -> None:
    """Refuse an address that would be read otherwise than it was meant; tell nothing of it.

    Raises:
        ValueError: for pydantic.
    """
    scheme, separator, rest = device.partition("://")
    if not separator:
        if "@" in device and not Path(device).exists():
            raise ValueError(f"this is no file, and no address without its beginning: {_ADDRESS}")
        return
    encode = "write each special character of the user and password percent-encoded (# as %23)"
    try:
        parts = urlsplit(device)
        port, host = parts.port, parts.hostname
    except ValueError:
        raise ValueError(f"this is no address that can be read: {encode}") from None
    if "@" in rest and "@" not in parts.netloc:
        raise ValueError(f"the user or password in this address ends it too early: {encode}")
    if not (scheme and host) or port == 0:
        raise ValueError(f"this address names no host: {_ADDRESS}")
    if any(letter.isspace() or not letter.isprintable() for letter in device):
        raise ValueError(f"there is a space or an invisible letter in this address: {encode}")
