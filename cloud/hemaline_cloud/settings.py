"""One Settings class per process, read from the environment (`HEMALINE_…`, nested by `__`)."""

import os
import socket
from pathlib import Path
from typing import Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    SecretStr,
    field_validator,
    model_validator,
)

from hemaline_shared.broker import BrokerSettings
from hemaline_shared.health import HealthSettings
from hemaline_shared.settings import ProcessSettings


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DirectoryObjects(_Part):
    """The object store of one machine: files below a directory."""

    kind: Literal["directory"] = "directory"
    path: Path
    upload_url: str | None = None
    """Where devices reach the API's upload address; without it, claim checks are refused."""
    upload_secret: SecretStr | None = None


class S3Objects(_Part):
    """Any S3; the bucket must exist."""

    kind: Literal["s3"] = "s3"
    endpoint: str
    bucket: str
    access_key: str
    secret_key: SecretStr
    secure: bool = True
    region: str = "us-east-1"


class DatabaseSettings(ProcessSettings):
    """What every process of the cloud needs."""

    database_url: SecretStr


class MigrateSettings(DatabaseSettings):
    """`hemaline-cloud migrate`."""


class IdentitySettings(DatabaseSettings):
    """`hemaline-cloud orders` and `patients`, and the API: who reads and writes identities."""

    identity_key: SecretStr | None = Field(default=None, min_length=32)
    """Seals identities; without it no orders are kept."""
    identity_former_keys: SecretStr | None = None
    """Keys that were in use before, parted by blanks: what they sealed is still read."""


class AuditSettings(DatabaseSettings):
    """`hemaline-cloud audit`."""

    objects: DirectoryObjects | S3Objects = Field(discriminator="kind")


class RestoreSettings(ProcessSettings):
    """`hemaline-cloud restore`: no database runs yet."""

    objects: DirectoryObjects | S3Objects = Field(discriminator="kind")


class BackupSettings(DatabaseSettings):
    """`hemaline-cloud backup`; the database's role needs REPLICATION."""

    objects: DirectoryObjects | S3Objects = Field(discriminator="kind")
    health: HealthSettings = HealthSettings()
    backup: Path
    """The folder of the backup: another disk than the data's, best another machine's."""
    postgres_programs: Path | None = None
    """Where `pg_basebackup`, `pg_receivewal` and `pg_verifybackup` lie, if not on the PATH."""
    backup_period_s: float = Field(default=60, gt=0)
    """How often `backup follow` copies what is new in the object store."""


class IngestSettings(DatabaseSettings):
    """`hemaline-cloud ingest`."""

    objects: DirectoryObjects | S3Objects = Field(discriminator="kind")
    broker: BrokerSettings = BrokerSettings()
    health: HealthSettings = HealthSettings()
    group: str | None = None
    """Replicas of one group share the messages; without one, the subscription is plain."""
    replica: str = "0"
    """Names the broker's session: every replica has its own, and the same at each start."""
    session_expiry_s: int = Field(default=24 * 3600, ge=0)
    queue_messages: int = Field(default=192, ge=1, le=65535)
    """Messages held in memory at most; beyond it the broker holds them."""
    commit_messages: int = Field(default=128, ge=1)
    """Messages in one transaction at most."""
    queue_bytes: int = Field(default=256 * 1024 * 1024, ge=0)
    """Memory for messages at most, from their arrival to their receipt; one message always fits."""
    claim_bytes: int = Field(default=128 * 1024 * 1024, ge=0)
    """Memory at most for uploads that are being claimed, beside that; one upload always fits."""
    max_upload_bytes: int = Field(default=64 * 1024 * 1024, ge=0)
    device_upload_bytes: int = Field(default=1024 * 1024 * 1024, ge=0)
    """What one device may have uploaded, or been granted, and not claimed yet."""
    upload_grant_s: int = Field(default=300, ge=1)
    upload_keep_s: int = Field(default=7 * 24 * 3600, ge=1)
    """How long an upload waits to be claimed before it is deleted."""
    breaker_hold_s: float = Field(default=600, ge=0)
    """How long an ingest that refuses nearly everything says so before it ends."""


class InferSettings(DatabaseSettings):
    """`hemaline-cloud infer`."""

    objects: DirectoryObjects | S3Objects = Field(discriminator="kind")
    health: HealthSettings = HealthSettings()
    bundle: Path
    purpose: Literal["active", "trial"] = "active"
    """What for: `active` answers count, those of a `trial` are kept beside them."""
    ready_after_s: float = Field(default=900, gt=0)
    """A slide that its device never ended may be reviewed when no frame of it came for so long."""
    device: Literal["cpu", "cuda"] = "cpu"
    batch_size: int = Field(default=16, ge=1)
    max_wait_ms: int = Field(default=50, ge=0)
    lease_s: int = Field(default=60, ge=1)
    max_attempts: int = Field(default=5, ge=1)
    """How often a field may end the worker that judges it alone; then it is quarantined."""
    held_bytes: int = Field(default=512 * 1024 * 1024, ge=1)
    """Packed images and decoded fields in memory; one field may be larger."""
    worker: str = f"{socket.gethostname()}-{os.getpid()}"
    stop_grace_s: float = Field(default=20.0, ge=0)
    """At the stop, fields in hand are finished for so long; what is left goes back to the queue.
    Less than the half minute that Kubernetes waits before it kills."""


class OidcRule(_Part):
    """What a group of the identity provider may do here."""

    group: str
    role: Literal["technologist", "haematologist", "operator", "admin"]
    site: str = "*"
    """A site's name; `*` is every site."""


class OidcSettings(_Part):
    """An identity provider that speaks OpenID Connect."""

    issuer: HttpUrl
    client_id: str
    client_secret: SecretStr | None = None
    name: str = "your hospital's account"
    """On the button: what people call it."""
    scopes: str = "openid profile email groups"
    groups_claim: str = "groups"
    rules: tuple[OidcRule, ...]
    leeway_s: int = Field(default=60, ge=0, le=600)
    """How far the provider's clock may be off."""

    @field_validator("issuer")
    @classmethod
    def _is_encrypted(cls, issuer: HttpUrl) -> HttpUrl:
        if issuer.scheme != "https" and issuer.host not in {"127.0.0.1", "localhost"}:
            raise ValueError("the identity provider must be reached by https")
        return issuer


class ApiSettings(IdentitySettings):
    """`hemaline-cloud api`."""

    objects: DirectoryObjects | S3Objects = Field(discriminator="kind")
    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8080, ge=0, le=65535)
    public_url: HttpUrl | None = None
    """How browsers reach it, where that is not this machine: its name, and whether by TLS."""
    allowed_hosts: frozenset[str] = frozenset()
    """More names that it answers to; its own machine's and the public one's it does anyway."""
    oidc: OidcSettings | None = None
    """Needs `public_url`, to which the provider sends people back."""
    session_hours: float = Field(default=12, gt=0, le=24 * 7)
    """A session ends so long after the log-in at the latest: a shift."""
    session_idle_minutes: float = Field(default=60, gt=0)
    requests_per_minute: int = Field(default=3000, ge=60)
    """Of one person or service; a third of it at once."""
    log_ins_per_minute: int = Field(default=30, ge=1)
    """From one address; behind a proxy that does not tell addresses, that is everybody."""

    @model_validator(mode="after")
    def _oidc_has_a_way_back(self) -> Self:
        if self.oidc and not self.public_url:
            raise ValueError("with OIDC, HEMALINE_PUBLIC_URL must say where people come back to")
        return self


class BrokerListsSettings(_Part):
    """What `est` keeps for a broker: `revoked.pem` and `access`, in a folder."""

    folder: Path
    """Where both are written; the broker reads them from there."""
    access: Path
    """The access list as it is while nobody is cut off."""
    every_s: float = Field(default=2, gt=0)
    """How often `est` looks for certificates that were revoked."""


class EstSettings(DatabaseSettings):
    """`hemaline-cloud est`."""

    authority: Path
    """The folder that `devices make-authority` wrote; `root.key` need not be there."""
    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8443, ge=0, le=65535)
    certificate_s: int = Field(default=30 * 24 * 3600, ge=1)
    """How long a device's certificate is good; the device renews it at half."""
    renewal_grace_s: int = Field(default=90 * 24 * 3600, ge=0)
    """For so long after its end a certificate that was not revoked still renews itself."""
    broker_lists: BrokerListsSettings | None = None
    """None: no broker learns from this process who is cut off."""


PROCESSES = (
    MigrateSettings,
    AuditSettings,
    RestoreSettings,
    BackupSettings,
    IdentitySettings,
    IngestSettings,
    InferSettings,
    ApiSettings,
    EstSettings,
)
"""They may share one environment."""
