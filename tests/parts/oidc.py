"""A real identity provider: npm's `oidc-provider`, run by the node of a wheel."""

import json
import os
import urllib.request
from pathlib import Path
from urllib.parse import urlencode

import pytest

from hemaline_local.child import Child
from hemaline_local.ports import free_port, http_ok
from parts import node
from parts.waiting import LONG_S

_SOURCE = Path(__file__).parent / "oidc_provider"
CLIENT_SECRET = "a secret of the test"


@pytest.fixture(scope="session")
def oidc_script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The provider's script, with what it needs: installed once for all workers of a run."""
    folder = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        folder = folder.parent
    return node.install(_SOURCE, folder / "oidc-provider") / "provider.js"


class OidcPart:
    """One provider; several may run, each with its own clock."""

    def __init__(self, script: Path, redirects: list[str], *, clock_off_s: int = 0) -> None:
        self.port = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self._script = script
        self._env = {
            "PORT": str(self.port),
            "REDIRECTS": " ".join(redirects),
            "CLOCK_OFF_S": str(clock_off_s),
        }
        self._child: Child | None = None

    def start(self) -> None:
        log = self._script.parent / f"provider-{self.port}.log"
        command = [node.node(), str(self._script)]
        self._child = Child("oidc-provider", command, log, self._env)
        known = "/.well-known/openid-configuration"
        self._child.wait_ready(lambda: http_ok(self.port, known), LONG_S, port=self.port)

    def stop(self) -> None:
        if self._child:
            self._child.stop()

    def let_sit(self, subject: str, *groups: str, name: str = "") -> None:
        """Say who sits before the browser from now on; an empty subject refuses to log in."""
        claims = {
            "name": name or subject.capitalize(),
            "preferred_username": subject,
            "groups": list(groups),
        }
        query = urlencode({"sub": subject, "claims": json.dumps(claims)})
        urllib.request.urlopen(f"{self.issuer}/sits?{query}", timeout=LONG_S).close()
