"""`python vulnerabilities.py PIP-AUDIT REQUIREMENTS…`: known vulnerabilities, or NOT CHECKED.

Status 0: every pinned package was looked up and none is known to be vulnerable; 1: some are; 3: not
all were looked up. A feed that did not answer never reads as "none found".
"""

import json
import subprocess
import sys
from pathlib import Path

NONE_KNOWN, FOUND, NOT_CHECKED = 0, 1, 3
_TIMEOUT_S = 300


def main() -> int:
    """Look up each lock; return the worst status."""
    audit, *locks = sys.argv[1:]
    statuses = [_check(audit, Path(lock)) for lock in locks]
    return FOUND if FOUND in statuses else max(statuses, default=NOT_CHECKED)


def _check(audit: str, lock: Path) -> int:
    command = [audit, "--requirement", str(lock), "--disable-pip", "--require-hashes"]
    command += ["--format", "json", "--progress-spinner", "off"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
        )
        told = json.loads(done.stdout)["dependencies"]
    except (OSError, subprocess.TimeoutExpired) as error:
        return _not_checked(lock, str(error))
    except (ValueError, KeyError, TypeError):
        said = done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"]
        return _not_checked(lock, said[-1])
    skipped = [one for one in told if "skip_reason" in one]
    found = [(one, each) for one in told for each in one.get("vulns", [])]
    for one, each in found:
        mended = ", ".join(each.get("fix_versions", [])) or "nothing yet"
        _say(f"{lock.name}: {one['name']} {one['version']}: {each['id']}, mended by {mended}")
    if skipped or not told:
        names = ", ".join(one["name"] for one in skipped)
        why = f"; {skipped[0]['skip_reason']}" if skipped else ""
        status = _not_checked(lock, f"{len(skipped)} of {len(told)} packages{why}: {names}")
        return FOUND if found else status
    if found:
        return FOUND
    _say(f"{lock.name}: {len(told)} packages looked up, none is known to be vulnerable")
    return NONE_KNOWN


def _not_checked(lock: Path, why: str) -> int:
    _say(f"{lock.name}: NOT CHECKED: {why}")
    return NOT_CHECKED


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
