"""How to reach the broker, and how to trust it."""

import ssl
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from hemaline_shared.errors import PermanentError


class BrokerSettings(BaseModel):
    """How to reach the broker. With `ca`, the connection is TLS; with `certificate`, mutual."""

    model_config = ConfigDict(extra="forbid")

    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=1883, ge=1, le=65535)
    keepalive_s: int = Field(default=30, ge=1, le=65535)
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
    """Return the TLS side of a connection to a broker with a `ca`.

    Raises:
        PermanentError: `bad-certificate`; the sentence names the file.
    """
    context = _trusting(broker.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if broker.certificate:
        try:
            context.load_cert_chain(broker.certificate, broker.key)
        except OSError as error:
            raise PermanentError(
                "bad-certificate",
                f"the broker's certificate {broker.certificate} with key {broker.key} cannot be "
                f"used: {_why(error)}",
            ) from error
    return context


def _trusting(ca: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise PermanentError(
            "bad-certificate",
            f"the broker's certificate authority {ca} cannot be used: {_why(error)}",
        ) from error


def _why(error: OSError) -> str:
    """Say what is wrong with a PEM file; OpenSSL's own words say it to nobody."""
    if isinstance(error, ssl.SSLError):
        return "it is no PEM file of the right kind, or the key belongs to another certificate"
    return error.strerror or str(error)
