"""Ask a process of ours at its health port, as an orchestrator does."""

import urllib.error
import urllib.request

from parts.waiting import LONG_S


def ask_health(port: int, path: str) -> tuple[int, str]:
    """Return the status and the text of the answer, also of a refusal."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=LONG_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
