# Test cases that run once more over TLS. Each has the attribute tls_version, None for
# plain TCP, and looks at it when it starts its server and connects.

import ssl

TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def over_tls(module, *cases, versions=(TLS_1_2, TLS_1_3)):
    """Adds a subclass of each case for each version to the module (its globals), where
    unittest finds it: TLSv1_3CloseTest of CloseTest."""
    for case in cases:
        for version in versions:
            name = version.name + case.__name__
            module[name] = type(name, (case,), {"__module__": module["__name__"],
                                                "tls_version": version})
