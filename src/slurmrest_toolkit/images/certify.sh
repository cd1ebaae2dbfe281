#!/bin/sh
# slurmrest-certify, in a node with a gateway: an authority of its own, and a certificate that it signs for the addresses
# under which this host and other nodes reach the gateway. Nobody has the authority's key afterwards.
set -eu
place=${1:-/etc/slurmrest-gateway}
work=$(mktemp -d "${TMPDIR:-/run}/slurmrest-certify.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
new='req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
# Strict readers (VERIFY_X509_STRICT, the default of Python 3.13) want to know what keys are for, and whose.
openssl $new -x509 -days 90 -subj "/CN=authority of a test cluster" -addext keyUsage=critical,keyCertSign \
    -keyout authority.key -out authority.pem 2>/dev/null
openssl $new -subj "/CN=$(hostname)" -keyout key.pem -out request.pem 2>/dev/null
cat >extensions <<END
subjectAltName=DNS:localhost,DNS:$(hostname),IP:127.0.0.1
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
END
openssl x509 -req -days 90 -in request.pem -CA authority.pem -CAkey authority.key -CAcreateserial -extfile extensions \
    -out certificate.pem 2>/dev/null
install -d -m 0755 "$place"
install -m 0600 key.pem "$place/key.pem"
install -m 0644 certificate.pem authority.pem "$place/"
