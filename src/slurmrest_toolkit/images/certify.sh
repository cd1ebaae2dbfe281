#!/bin/sh
# slurmrest-certify, in a node with a gateway: an authority of its own, and a certificate that it signs for the addresses
# under which this host and other nodes reach the gateway. Nobody has the authority's key afterwards.
set -eu
place=/etc/slurmrest-gateway
work=$(mktemp -d /run/slurmrest-certify.XXXXXX)
trap 'rm -rf "$work"' EXIT
cd "$work"
new='req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
openssl $new -x509 -days 90 -subj "/CN=authority of a test cluster" -keyout authority.key -out authority.pem 2>/dev/null
openssl $new -subj "/CN=$(hostname)" -keyout key.pem -out request.pem 2>/dev/null
printf 'subjectAltName=DNS:localhost,DNS:%s,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n' "$(hostname)" >extensions
openssl x509 -req -days 90 -in request.pem -CA authority.pem -CAkey authority.key -CAcreateserial -extfile extensions \
    -out certificate.pem 2>/dev/null
install -d -m 0755 "$place"
install -m 0600 key.pem "$place/key.pem"
install -m 0644 certificate.pem authority.pem "$place/"
