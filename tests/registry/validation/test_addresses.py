"""Where traffic may be sent to."""
from __future__ import annotations

import pytest

from kubelet_lite.registry.validation.addresses import endpoint_address


@pytest.mark.parametrize(("address", "problem"), [
    ("10.0.0.1", ""), ("2001:db8::1", ""), ("127.77.0.5", ""), ("nope", "must be a valid IP address"),
    ("0.0.0.0", "unspecified"), ("127.0.0.1", "loopback"), ("::1", "loopback"), ("169.254.1.1", "link-local range"), ("fe80::1", "link-local range"),
    ("224.0.0.5", "link-local multicast"), ("ff02::1", "link-local multicast"),
])
def test_an_address_that_means_another_machine_everywhere_is_refused(address: str, problem: str) -> None:
    found = [error.body for error in endpoint_address("ip", address)]
    assert len(found) == bool(problem)
    assert all(problem in body for body in found)


def test_the_api_server_may_be_anywhere() -> None:
    assert not list(endpoint_address("ip", "127.0.0.1", own=True))
