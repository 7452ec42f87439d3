"""A real S3: SeaweedFS from its wheel, on free ports, its telemetry off."""

import sys
from io import BytesIO
from pathlib import Path

from minio import Minio
from minio.error import S3Error
from pydantic import SecretStr
from urllib3.exceptions import HTTPError

from hemaline_cloud.settings import S3Objects
from hemaline_local.child import Child
from hemaline_local.ports import free_port, http_ok
from parts.waiting import LONG_S

_BUCKET = "hemaline-test"


class SeaweedPart:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        others = ["master.port", "volume.port", "filer.port"]
        others += [f"{server}.port.grpc" for server in ("master", "volume", "filer", "s3")]
        self._others = [f"-{other}={free_port()}" for other in others]
        self._child: Child | None = None

    @property
    def settings(self) -> S3Objects:
        return S3Objects(
            endpoint=f"127.0.0.1:{self.port}",
            bucket=_BUCKET,
            access_key="test-access",
            secret_key=SecretStr("test-secret"),
            secure=False,
        )

    def start(self) -> None:
        data = self.folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        command = [
            str(Path(sys.executable).with_name("weed")),
            "mini",
            f"-dir={data}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            *self._others,
            f"-s3.port={self.port}",
            f"-bucket={_BUCKET}",
            "-admin.ui=false",
            "-webdav=false",
            "-master.telemetry=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-volume.preStopSeconds=0",
        ]
        keys = {"AWS_ACCESS_KEY_ID": "test-access", "AWS_SECRET_ACCESS_KEY": "test-secret"}
        self._child = Child("seaweedfs", command, self.folder / "seaweedfs.log", keys)
        self._child.wait_ready(
            lambda: http_ok(self.port, "/healthz") and self._keeps(),
            timeout_s=LONG_S,
            port=self.port,
        )

    def stop(self) -> None:
        if self._child:
            self._child.stop()

    def _keeps(self) -> bool:
        """Whether it gives back what it takes: its health is that of the gateway alone."""
        s3 = self.settings
        client = Minio(
            s3.endpoint, s3.access_key, s3.secret_key.get_secret_value(), secure=s3.secure
        )
        try:
            client.put_object(_BUCKET, "ready", BytesIO(b"yes"), 3)
            with client.get_object(_BUCKET, "ready") as answer:
                kept = answer.read() == b"yes"
            client.remove_object(_BUCKET, "ready")
        except (S3Error, HTTPError):
            return False
        return kept

    def kill(self) -> None:
        assert self._child
        self._child.kill()
