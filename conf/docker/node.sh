#!/bin/bash
# Both processes of a node in one container; when one ends so does the other, and the container
# is started again by whoever runs it. The secret of tokens lies beside the store, or is in the
# environment (KCS_HS256_SECRET).
set -u
secret=/var/lib/kcs/hs256.secret

if [ -z "${KCS_HS256_SECRET:-}" ]; then
    if ! [ -e "$secret" ]; then
        (umask 077 && od -An -tx1 -N32 /dev/urandom | tr -d ' \n' >"$secret") || exit 1
    fi
    KCS_HS256_SECRET=$(cat "$secret")
    export KCS_HS256_SECRET
fi
kcs-dataplane --config /etc/kcs/dataplane.yaml &
kcs-control --config /etc/kcs/control.yaml &
trap 'kill -TERM $(jobs -p) 2>/dev/null' TERM INT
wait -n
status=$?
# shellcheck disable=SC2046 # a list of numbers
kill -TERM $(jobs -p) 2>/dev/null
wait
exit $status
