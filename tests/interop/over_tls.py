# Test cases that run again over TLS. Each has the attribute tls_version, None for plain TCP,
# and uses it to start its server and to connect.

import ssl

TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def over_tls(module, *cases, versions=(TLS_1_2, TLS_1_3)):
    """Adds to the module (its globals) a subclass of each case for each version, where
    unittest finds it: TLSv1_3CloseTest for CloseTest."""
    for case in cases:
        for version in versions:
            name = version.name + case.__name__
            module[name] = type(name, (case,), {"__module__": module["__name__"],
                                                "tls_version": version})
