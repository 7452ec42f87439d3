#!/bin/sh
# Takes out of the environment $1 whole files that the agent never opens. No file is changed, so what
# stays is, byte for byte, what the wheels' hashes vouch for.
set -eu
packages=$(echo "$1"/lib/python3*/site-packages)
cd "$packages"

rm -rf hemaline_cloud hemaline_train hemaline_local "$1/bin/hemaline" "$1/bin/hemaline-cloud" \
    "$1/bin/hemaline-train"
find . -type d \( -name tests -o -name test -o -name include \) -prune -exec rm -rf {} +
find . -type f \( -name '*.pyi' -o -name '*.pxd' -o -name '*.pyx' -o -name '*.a' -o -name '*.h' \) \
    -delete
rm -rf numpy/f2py
# What colours the source of other languages; ours is shown in crashes.
find pygments/lexers -type f -name '*.py' ! -name __init__.py ! -name _mapping.py ! -name python.py -delete

# TIFF's own codings, and PNG for the one kind that Pillow does not read; the rest is not offered.
for coding in imagecodecs/_*.so; do
    case $coding in
    */_shared* | */_imcd.* | */_png.* | */_zlib.* | */_deflate.* | */_zstd.* | */_jpeg8.*) ;;
    *) rm "$coding" ;;
    esac
done
rm -f PIL/_avif*.so

# Libraries that no extension module needs any more.
for folder in imagecodecs.libs pillow.libs; do
    module=$(echo "$folder" | sed -e 's/\.libs//' -e 's/pillow/PIL/')
    ldd "$module"/*.so | sed -n "s|.*$folder/\([^ ]*\) .*|\1|p" | sort -u >/tmp/needed
    for library in "$folder"/*; do
        grep -qxF "$(basename "$library")" /tmp/needed || rm "$library"
    done
done
