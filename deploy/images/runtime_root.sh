#!/bin/sh
# Copies what a running Python needs of Debian into the directory $1, and nothing else.
#
# Each package's record goes along to var/lib/dpkg/status.d, where scanners for vulnerabilities look
# for the versions in an image without dpkg.
set -eu
root=$1
packages="base-files ca-certificates libbz2-1.0 libc6 libcrypt1 libexpat1 libffi8 libgcc-s1 \
    liblzma5 libpython3.11-minimal libpython3.11-stdlib libsqlite3-0 libssl3 libstdc++6 libuuid1 \
    media-types python3-minimal python3.11-minimal tzdata zlib1g"

mkdir -p "$root/var/lib/dpkg/status.d"
for package in $packages; do
    dpkg-query --status "$package" >"$root/var/lib/dpkg/status.d/$package"
    dpkg-query --listfiles "$package" | while IFS= read -r path; do
        case $path in
        /usr/share/doc/*/copyright) ;;
        /usr/share/doc/* | /usr/share/man/* | /usr/share/lintian/* | /usr/share/locale/*) continue ;;
        /usr/share/zoneinfo/posix/* | /usr/share/zoneinfo/right/*) continue ;;
        /usr/lib/*/gconv/* | /usr/share/perl5/* | /usr/share/python3/*) continue ;;
        /usr/lib/python3.11/lib2to3/* | /usr/lib/python3.11/ensurepip/*) continue ;;
        /usr/lib/python3.11/idlelib/* | /usr/lib/python3.11/pydoc_data/*) continue ;;
        /usr/sbin/* | /var/* | /etc/ca-certificates* | /usr/share/ca-certificates/*) continue ;;
        esac
        if [ -d "$path" ] && [ ! -L "$path" ]; then
            continue
        fi
        # /lib and /bin are links into /usr in a merged system, not directories.
        directory=$(readlink -f "$(dirname "$path")")
        mkdir -p "$root$directory"
        cp -a "$path" "$root$directory/"
    done
done
for link in bin lib lib64 sbin; do
    [ -e "$root/$link" ] || cp -a "/$link" "$root/$link"
done
mkdir -p "$root/etc/ssl/certs"
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
cp -a /etc/ld.so.cache /etc/nsswitch.conf "$root/etc/" 2>/dev/null || true

echo 'root:x:0:0:root:/:/nonexistent' >"$root/etc/passwd"
echo 'hemaline:x:10001:10001:Hemaline:/var/lib/hemaline:/nonexistent' >>"$root/etc/passwd"
printf 'root:x:0:\nhemaline:x:10001:\n' >"$root/etc/group"
mkdir -p "$root/var/lib/hemaline" "$root/proc" "$root/sys" "$root/dev" "$root/run"
chown 10001:10001 "$root/var/lib/hemaline"
mkdir -p -m 1777 "$root/tmp"

# The file system is read-only when it runs: what is not compiled now is compiled at every start.
python3 -m compileall -q -j 0 -s "$root" "$root/usr/lib/python3.11"
/opt/hemaline/bin/python -m compileall -q -j 0 /opt/hemaline/lib

# A package that is missing here would be found out at a customer's: start it once.
chroot "$root" /usr/bin/python3 -c 'import bz2, ctypes, hashlib, lzma, sqlite3, ssl, uuid, zlib'
