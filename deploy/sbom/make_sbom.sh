#!/bin/sh
# Writes bills of materials (CycloneDX 1.6) to dist/sbom: one for each lock, one for each image given.
#
#   make sbom                                        the release: edge, cloud, local
#   make sbom ARGS="localhost/hemaline-cloud …"      and these images, by podman
#
# CYCLONEDX is a folder with cyclonedx-py and its python.
set -eu
cd "$(dirname "$0")/../.."
programs=${CYCLONEDX:?}
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
mkdir -p dist/sbom
for lock in edge cloud local; do
    "$programs/cyclonedx-py" requirements "requirements/$lock.txt" --pyproject pyproject.toml \
        --sv 1.6 --of JSON --output-reproducible --validate \
        -o "dist/sbom/hemaline-$version-$lock.cdx.json" 2>/dev/null
    echo "dist/sbom/hemaline-$version-$lock.cdx.json"
done
root=$(mktemp -d)
trap 'chmod -R u+w "$root"; rm -rf "$root"' EXIT
for image; do
    name=$(basename "${image%%[:@]*}")
    container=$(podman create "$image")
    mkdir "$root/$name"
    podman export "$container" | tar -x -C "$root/$name" --no-same-owner --exclude='dev/*'
    podman rm "$container" >/dev/null
    "$programs/python" deploy/sbom/image.py "$image" "$root/$name" >"dist/sbom/$name.image.cdx.json"
    "$programs/python" -c 'import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
sys.exit(JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read()))' \
        <"dist/sbom/$name.image.cdx.json"
    echo "dist/sbom/$name.image.cdx.json"
done
