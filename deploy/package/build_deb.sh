#!/bin/sh
# Builds dist/hemaline-edge_VERSION_ARCH.deb: hash-checked wheels in an environment under /opt.
#
#   make deb                    for this machine's processor and /usr/bin/python3
#   make deb ARGS="arm64"       for another one: amd64 or arm64
#   make deb ARGS="amd64 1.2"   under another version
#
# UV and NFPM are commands; PYTHON is the distribution's own, whose version the package depends on.
set -eu
cd "$(dirname "$0")/../.."
uv=${UV:-uv}
nfpm=${NFPM:-nfpm}
python=${PYTHON:-/usr/bin/python3}
ARCH=${1:-$(uname -m | sed -e s/x86_64/amd64/ -e s/aarch64/arm64/)}
VERSION=${2:-$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)}
case $ARCH in
amd64) platform=x86_64-manylinux_2_28 ;;
arm64) platform=aarch64-manylinux_2_28 ;;
*)
    echo "$0: there are wheels for amd64 and arm64, not for $ARCH" >&2
    exit 2
    ;;
esac
minor=$($python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
PYTHON_PACKAGE=python$minor

stage=build/deb
home=$stage/opt/hemaline-edge
packages=$home/lib/python$minor/site-packages
rm -rf $stage
mkdir -p "$packages" $home/bin dist

install="$uv pip install --quiet --target $packages --python $python --python-platform $platform"
$install --require-hashes --only-binary :all: -r requirements/edge.txt
$install --no-deps --build-constraint requirements/build.txt .

# What the edge never runs.
rm -r "$packages/bin" "$packages"/hemaline_cloud "$packages"/hemaline_train "$packages"/hemaline_local
rm -f "$packages/.lock"
find "$packages" -type d -name tests -prune -exec rm -r {} +

# The environment, which is what `python -m venv` would write at the place where it will lie.
ln -s "/usr/bin/python$minor" $home/bin/python
printf 'home = /usr/bin\ninclude-system-site-packages = false\nversion = %s\n' "$minor" >$home/pyvenv.cfg
cat >$home/bin/hemaline-edge <<'END'
#!/opt/hemaline-edge/bin/python -I
from hemaline_edge.__main__ import main

main()
END
chmod 755 $home/bin/hemaline-edge
# Compiled here: where it runs nobody may write beside it.
$python -m compileall -q --invalidation-mode unchecked-hash -s $stage -p / "$packages"
chmod -R go-w,a+rX $stage

export ARCH VERSION PYTHON_PACKAGE
$nfpm package --config deploy/package/nfpm.yaml --packager deb --target dist/
