#!/bin/sh
# Installs hash-checked wheels into /opt/hemaline: `dependencies PART`, then `hemaline PART`.
set -eu
what=$1
part=$2
build=/opt/build
python=/opt/hemaline/bin/python
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
wheels=
if [ -d /wheels ]; then
    wheels="--find-links /wheels"
fi

case $what in
dependencies)
    python3 -m venv $build
    python3 -m venv --without-pip /opt/hemaline
    # shellcheck disable=SC2086
    $build/bin/pip install -q $wheels --require-hashes --only-binary :all: -r requirements/build.txt
    # shellcheck disable=SC2086
    $build/bin/pip --python $python install -q $wheels --require-hashes --only-binary :all: \
        --no-compile -r "requirements/$part.txt"
    ;;
hemaline)
    $build/bin/pip wheel -q --no-deps --no-build-isolation --no-index -w /tmp/ours .
    $build/bin/pip --python $python install -q --no-deps --no-index --no-compile /tmp/ours/*.whl
    ;;
*)
    echo "$0: dependencies or hemaline, not $what" >&2
    exit 2
    ;;
esac
