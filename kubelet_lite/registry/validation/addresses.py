"""Addresses that traffic may be sent to."""
from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final

from kubelet_lite.api import names
from kubelet_lite.api.errors import FieldError, invalid

OWN_LOOPBACK: Final = ipaddress.ip_network("127.0.0.0/16")
"""The machine's own. In the rest of 127.0.0.0/8 the pods of loopback clusters live: there Kubernetes' refusal is lifted."""
_LINK_LOCAL_MULTICAST: Final = ipaddress.ip_network("224.0.0.0/24")


def endpoint_address(path: str, value: str, *, own: bool = False) -> Iterator[FieldError]:
    """Not an address that means another machine wherever it is used. `own`: the API server's own entry, which may be anywhere."""
    found = names.address(value)
    if found is None:
        yield invalid(path, value, "must be a valid IP address")
        return
    if found.is_unspecified:
        yield invalid(path, value, f"may not be unspecified ({value})")
    if not own and (found in OWN_LOOPBACK if found.version == 4 else found.is_loopback):
        yield invalid(path, value, "may not be in the loopback range (127.0.0.0/8, ::1/128)")
    if found.is_link_local:
        yield invalid(path, value, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    if _link_local_multicast(found):
        yield invalid(path, value, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")


def _link_local_multicast(found: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if found.version == 4:
        return found in _LINK_LOCAL_MULTICAST
    return found.packed[0] == 0xFF and found.packed[1] & 0x0F == 2


def is_api_server(namespace: str, service: str) -> bool:
    """Whether endpoints of this Service are the API server's own entry."""
    return (namespace, service) == ("default", "kubernetes")
