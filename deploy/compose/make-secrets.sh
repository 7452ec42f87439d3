#!/bin/sh
# make-secrets.sh DIR HOSTNAME: writes what compose.yaml's secrets are, each file once.
#
# What is there already stays: a hospital puts certificates of its own here before it runs this.
set -eu
umask 077
if [ $# -ne 2 ]; then
    sed -n '2s/^# //p' "$0" >&2
    exit 2
fi
directory=$1
mkdir -p "$directory"
cd "$directory"

secret() {
    [ -s "$1" ] || printf '%s' "$2" >"$1"
}

random() {
    openssl rand -hex 24
}

certificate() { # FILE SUBJECT EXTENSIONS DAYS [issuing]
    [ -s "$1.crt" ] && return
    by="-CA ca.crt -CAkey ca/ca.key"
    [ "${5:-}" != issuing ] || by="-CA issuing.crt -CAkey issuing.key"
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
        -subj "/CN=$(printf '%s' "$2" | sed 's|/|\\/|g')" -keyout "$1.key" -out "$1.csr" 2>/dev/null
    printf '%s\n' "$3" >"$1.ext"
    # shellcheck disable=SC2086 # two options
    openssl x509 -req -in "$1.csr" $by -CAcreateserial -days "$4" -extfile "$1.ext" \
        -out "$1.crt" 2>/dev/null
    [ "${5:-}" != issuing ] || cat issuing.crt >>"$1.crt"
    rm "$1.csr" "$1.ext"
}

hostname=$2
mkdir -p ca
if [ ! -s ca.crt ]; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
        -subj "/CN=Hemaline $hostname" -addext basicConstraints=critical,CA:TRUE,pathlen:1 \
        -addext keyUsage=critical,keyCertSign,cRLSign -keyout ca/ca.key -out ca.crt 2>/dev/null
fi
case $hostname in
*[!0-9.]*) named=DNS check=-checkhost ;;
*) named=IP check=-checkip ;;
esac
server="extendedKeyUsage=serverAuth
subjectAltName=$named:$hostname"
# What signs microscopes' certificates; `est` alone is shown its key.
certificate issuing "Hemaline issuing $hostname" "basicConstraints=critical,CA:TRUE,pathlen:0
keyUsage=critical,keyCertSign,cRLSign
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid" 1825
certificate est "$hostname" "$server" 825
certificate broker broker "$server,DNS:broker" 825
# The broker knows the revocation list of `issuing` alone, so whoever connects to it is signed by that.
certificate ingest ingest "extendedKeyUsage=clientAuth" 825 issuing
if [ ! -s proxy.pem ]; then
    certificate proxy "$hostname" "$server" 825
    cat proxy.crt ca.crt proxy.key >proxy.pem
    rm proxy.crt proxy.key
fi

for who in postgres owner application backup grafana; do
    secret "$who-password" "$(random)"
done
secret owner-url "postgresql://hemaline:$(cat owner-password)@database/hemaline"
secret application-url "postgresql://hemaline_application:$(cat application-password)@database/hemaline"
secret backup-url "postgresql://hemaline_backup:$(cat backup-password)@database/hemaline"
secret s3-secret-key "$(random)"
secret identity-key "$(random)"
secret s3.json "{\"identities\": [{\"name\": \"hemaline\", \"actions\": [\"Admin\", \"Read\", \"Write\", \"List\", \"Tagging\"], \"credentials\": [{\"accessKey\": \"hemaline\", \"secretKey\": \"$(cat s3-secret-key)\"}]}]}"
secret metrics-token "none yet"

# Each container has a user of its own, and is shown its own files alone; the directory is closed to
# everybody else on this machine.
chmod 0700 . ca
chmod 0444 ./*-password ./*-url ./*.crt broker.key est.key ingest.key issuing.key proxy.pem s3-secret-key s3.json \
    identity-key metrics-token
if openssl x509 -in est.crt -noout $check "$hostname" | grep -q "does NOT match"; then
    echo "$directory: the certificates there are for another name than $hostname. Remove est.*, broker.* and" \
        "proxy.pem, and call this again: they are made anew, and microscopes stay enrolled." >&2
    exit 1
fi
echo "$directory: secrets for $hostname"
