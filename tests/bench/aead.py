# aead.py: how fast a processor could echo over TLS if it only encrypted and decrypted,
# according to `openssl speed`.

import subprocess

from servers import PINNED, settle_in

RECORD = 16384  # RFC 8446 5.1: the most plaintext in one record
SECONDS = 2
MIB = 1 << 20

# OpenSSL's names for the TLS 1.3 cipher suites and for their ciphers.
CIPHERS = {"TLS_AES_256_GCM_SHA384": "aes-256-gcm", "TLS_AES_128_GCM_SHA256": "aes-128-gcm",
           "TLS_CHACHA20_POLY1305_SHA256": "chacha20-poly1305"}


def aead_rate(suite, nice):
    """MiB that a suite's cipher encrypts per second of CPU time, in full-size records."""
    cipher = CIPHERS[suite]
    done = subprocess.run(["openssl", "speed", "-mr", "-evp", cipher, "-bytes", str(RECORD),
                           "-seconds", str(SECONDS)], check=True, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          preexec_fn=lambda: settle_in(PINNED.server, nice))
    # +F:NUMBER:CIPHER:BYTES_PER_SECOND
    rates = [line.split(":")[3] for line in done.stdout.splitlines() if line.startswith("+F:")]
    if len(rates) != 1:
        raise RuntimeError(f"openssl speed has no rate for {cipher}")
    return float(rates[0]) / MIB


def compare_with_bound(payload, results, suite, rate):
    """MiB echoed per second of the server's CPU time, and what share of the possible that is.
    Every byte is decrypted once and encrypted once; plain WebSocket is free (bound) or
    costs what was measured (bound_with_plain)."""
    per_cpu_second = {name: payload / MIB / (result["server_us"]["median"] / 1e6)
                      for name, result in results.items()}
    tls, plain = per_cpu_second["libwebsock TLS"], per_cpu_second["libwebsock"]
    bound = rate / 2
    return {"suite": suite, "aead_mib_per_cpu_second": rate, "bound": bound,
            "bound_with_plain": 1 / (1 / bound + 1 / plain), "plain": plain, "tls": tls}


def print_bound(figures):
    print(f"  MiB echoed per second of server CPU: TLS {figures['tls']:.0f}, plain"
          f" {figures['plain']:.0f}. {CIPHERS[figures['suite']]} does"
          f" {figures['aead_mib_per_cpu_second']:.0f} MiB/s, once in and once out"
          f" {figures['bound']:.0f}:\n  TLS reaches {figures['tls'] / figures['bound']:.0%} of that,"
          f" and {figures['tls'] / figures['bound_with_plain']:.0%} of"
          f" {figures['bound_with_plain']:.0f}, that and the work of plain together.", flush=True)
