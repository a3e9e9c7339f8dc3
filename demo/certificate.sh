#!/bin/sh
# certificate.sh KEYFILE CERTFILE: makes a private key and a certificate for this
# machine's own names, signed by itself, so that a browser will ask before it goes on.
# Leaves them alone while they are good for another day.
set -eu

key=$1 cert=$2
if [ -r "$key" ] && openssl x509 -in "$cert" -noout -checkend 86400 >/dev/null 2>&1; then
    exit
fi

umask 077 # the key is for its owner only
if ! said=$(openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 \
    -days 90 -config /dev/stdin -keyout "$key.new" -out "$cert.new" 2>&1 <<'END'
[req]
prompt = no
distinguished_name = name
x509_extensions = extensions
[name]
CN = localhost
[extensions]
subjectAltName = DNS:localhost, IP:127.0.0.1, IP:::1
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
END
); then
    echo "$said" >&2
    exit 1
fi
mv "$key.new" "$key"
mv "$cert.new" "$cert"
