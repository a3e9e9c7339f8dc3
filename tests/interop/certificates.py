# The tests' authorities and certificates. The openssl program makes them on first use, in a
# directory that is removed with the process. Also what a Python client needs to check them.

import atexit
import base64
import functools
import hashlib
import itertools
import pathlib
import ssl
import subprocess
import tempfile
from typing import NamedTuple

from deadline import DEADLINE

AUTHORITY = ["basicConstraints = critical, CA:TRUE", "keyUsage = critical, keyCertSign"]
SERVER = ["basicConstraints = critical, CA:FALSE", "extendedKeyUsage = serverAuth"]
CLIENT = ["basicConstraints = critical, CA:FALSE", "extendedKeyUsage = clientAuth"]

CONFIGURATION = """[req]
prompt = no
distinguished_name = name
x509_extensions = extensions
[name]
CN = {name}
O = Example
[extensions]
{extensions}
"""


class Certificate(NamedTuple):
    """PEM files. chain is the certificate and those between it and its root."""
    key: pathlib.Path
    cert: pathlib.Path
    chain: pathlib.Path


numbers = itertools.count(1)


@functools.cache
def directory():
    made = tempfile.TemporaryDirectory(prefix="websock-certificates-")
    atexit.register(made.cleanup)
    return pathlib.Path(made.name)


def make(name, extensions, issuer=None):
    """A certificate with this common name, signed by the issuer or by itself."""
    number = next(numbers)
    made = Certificate(*(directory() / f"{number}.{field}" for field in Certificate._fields))
    signed_by = ["-CA", issuer.cert, "-CAkey", issuer.key] if issuer else []
    run = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "30", "-config", "/dev/stdin", "-keyout", made.key, "-out", made.cert,
         *signed_by],
        input=CONFIGURATION.format(name=name, extensions="\n".join(extensions)),
        text=True, capture_output=True, timeout=DEADLINE)
    assert run.returncode == 0, run.stderr
    made.chain.write_text(made.cert.read_text() + (issuer.chain.read_text() if issuer else ""))
    return made


@functools.cache
def root():
    # Its chain is empty: no server sends its root.
    made = make("Test Root", AUTHORITY)
    made.chain.write_text("")
    return made


@functools.cache
def intermediate():
    return make("Test Intermediate", AUTHORITY, root())


@functools.cache
def client_authority():
    return make("Test Clients", AUTHORITY)


@functools.cache
def server(*names):
    """A certificate from the intermediate authority for these host names, or for localhost
    and its addresses if there are none. One certificate per set of names."""
    subject_names = [f"DNS:{name}" for name in names] or ["DNS:localhost", "IP:127.0.0.1"]
    extension = "subjectAltName = " + ", ".join(subject_names)
    return make(names[0] if names else "localhost", [*SERVER, extension], intermediate())


@functools.cache
def client(name):
    return make(name, CLIENT, client_authority())


@functools.cache
def stranger():
    """A client certificate from an authority that no server knows."""
    return make("stranger", CLIENT, make("Unknown Clients", AUTHORITY))


def client_context(version=None):
    """Trusts only the root, and speaks only TLS of this version if one is given. An end
    without close_notify is an error."""
    context = ssl.create_default_context(cafile=root().cert)
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    if version:
        context.minimum_version = context.maximum_version = version
    return context


def public_key_hash(certificate):
    """SHA-256 of the SubjectPublicKeyInfo in base64, as browsers pin keys."""
    pem = subprocess.run(["openssl", "pkey", "-in", certificate.key, "-pubout"], text=True,
                         capture_output=True, timeout=DEADLINE, check=True).stdout
    der = base64.b64decode("".join(pem.splitlines()[1:-1]))
    return base64.b64encode(hashlib.sha256(der).digest()).decode()
