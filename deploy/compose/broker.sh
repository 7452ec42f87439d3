#!/bin/sh
# broker.sh: start Mosquitto once its lists are there, and have it read them anew when they change.
# broker.sh watch PID DIR: only the latter, for a Mosquitto that runs already.
#
# `hemaline-cloud est` writes the lists: who may say what, and which certificates were revoked.
set -eu

watch() { # PID DIR
    known=$(cksum "$2/access" "$2/revoked.pem")
    while kill -0 "$1" 2>/dev/null; do
        now=$(cksum "$2/access" "$2/revoked.pem" 2>/dev/null) || now=$known
        if [ "$now" != "$known" ]; then
            known=$now
            kill -HUP "$1"
        fi
        sleep 2 &
        wait $! || :
    done
}

if [ "${1:-}" = watch ]; then
    watch "$2" "$3"
    exit
fi

lists=/mosquitto/lists
until [ -s $lists/access ] && [ -s $lists/revoked.pem ]; do
    echo "waiting for est to write $lists/access and revoked.pem" >&2
    sleep 2
done
mosquitto -c /mosquitto/config/mosquitto.conf &
broker=$!
trap 'kill -TERM $broker' TERM INT
watch $broker $lists &
wait $broker || wait $broker
