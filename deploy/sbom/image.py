"""`python image.py NAME ROOT`: what is in an image, as a CycloneDX 1.6 bill of materials.

ROOT is the image unpacked (`podman export`). Debian's packages are read from their records in
var/lib/dpkg/status.d, Python's from their own: what is there, not what was asked for.
"""

import json
import re
import sys
from collections.abc import Iterator
from email.parser import HeaderParser
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

_Component = dict[str, object]


def main() -> int:
    """Write the bill to standard output; status 1 where the image names no package at all."""
    name, root = sys.argv[1], Path(sys.argv[2])
    components = [*_debian(root), *_python(root)]
    if not components:
        sys.stderr.write(f"{root} is no image of ours: no package is recorded there\n")
        return 1
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid4()}",
        "version": 1,
        "metadata": {"component": {"type": "container", "name": name, "bom-ref": name}},
        "components": sorted(components, key=lambda one: str(one["purl"])),
    }
    json.dump(bill, sys.stdout, indent=1)
    return 0


def _debian(root: Path) -> Iterator[_Component]:
    for record in sorted((root / "var/lib/dpkg/status.d").glob("*")):
        told = HeaderParser().parsestr(record.read_text(), headersonly=True)
        name, version, processor = told["Package"], told["Version"], told["Architecture"]
        purl = f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={processor}&distro=debian-12"
        yield _component(name, version, purl)


def _python(root: Path) -> Iterator[_Component]:
    for record in root.glob("opt/hemaline*/lib/python3*/site-packages/*.dist-info/METADATA"):
        told = HeaderParser().parsestr(record.read_text(errors="replace"), headersonly=True)
        name = re.sub(r"[-_.]+", "-", told["Name"]).lower()
        yield _component(name, told["Version"], f"pkg:pypi/{name}@{quote(told['Version'])}")


def _component(name: str, version: str, purl: str) -> _Component:
    return {"type": "library", "name": name, "version": version, "purl": purl, "bom-ref": purl}


if __name__ == "__main__":
    sys.exit(main())
