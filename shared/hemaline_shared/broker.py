"""How to reach the broker, and how to trust it."""

import ssl
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator


class BrokerSettings(BaseModel):
    """How to reach the broker. With `ca`, the connection is TLS; with `certificate`, mutual."""

    model_config = ConfigDict(extra="forbid")

    host: str = "127.0.0.1"
    port: int = 1883
    keepalive_s: int = 30
    max_packet_bytes: int = Field(default=8 * 1024**2, ge=16 * 1024)
    """The largest packet that we take from the broker; it drops what is larger."""
    username: str | None = None
    password: SecretStr | None = None
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    @model_validator(mode="after")
    def _tls_is_whole(self) -> "BrokerSettings":
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together")
        if self.certificate and not self.ca:
            raise ValueError("certificate needs ca: the broker must be verified too")
        return self

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def tls_context(broker: BrokerSettings) -> ssl.SSLContext:
    """Return the TLS side of a connection to a broker with a `ca`."""
    context = ssl.create_default_context(cafile=broker.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if broker.certificate:
        context.load_cert_chain(broker.certificate, broker.key)
    return context
