"""Names: what is allowed, and Kubernetes' words for what is not."""
from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.api import names

RECORDED = Path(__file__).resolve().parents[1] / "recorded"
CHECKS: list[tuple[str, Callable[[str], Sequence[str]]]] = [
    ("a lowercase RFC 1123 label", names.dns1123_label), ("a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-'", names.dns1123_subdomain),
    ("a DNS-1035 label", names.dns1035_label), ("name part", names.label_key), ("prefix part", names.label_key), ("a valid label must", names.label_value),
    ("a valid config key", names.config_map_key), ("must contain at least one letter", names.port_name), ("must contain only alpha-numeric", names.port_name),
    ("must be a valid IP address, (e.g.", names.ip_address), ("must be a valid CIDR value, (e.g.", names.cidr), ("a valid percent string", names.percent),
    ("a valid HTTP header", names.http_header_name),
]


def recorded_causes() -> list[tuple[str, str]]:
    """(value, message) of every string that Kubernetes refused as an invalid value."""
    found: dict[tuple[str, str], None] = {}
    for path in sorted((RECORDED / "mutations").glob("*.jsonl")):
        with path.open() as file:
            next(file)
            for line in file:
                causes: list[dict[str, Any]] = json.loads(line)["answer"].get("causes", [])
                for cause in causes:
                    match = re.match(r'Invalid value: ("(?:\\.|[^"\\])*"): (.*)', cause["message"], re.DOTALL)
                    if match:
                        found[json.loads(match[1]), match[2]] = None
    return list(found)


def test_every_recorded_complaint_about_a_name_is_ours_word_for_word() -> None:
    compared = 0
    for value, message in recorded_causes():
        for start, check in CHECKS:
            if message.startswith(start) and "<" not in value:
                assert message in check(value), (value, message, check(value))
                compared += 1
    assert compared > 40


@pytest.mark.parametrize("value", ["a", "a-b", "0", "a" * 63])
def test_a_label_may_be(value: str) -> None:
    assert not names.dns1123_label(value)


def test_a_name_with_dots_is_no_label_and_is_told_so() -> None:
    assert list(names.dns1123_label("a.b")) == ["must not contain dots"]


def test_length_counts_bytes() -> None:
    assert names.too_long(63) in names.dns1123_label("ä" * 40)


def test_a_dash_at_the_end_of_a_prefix_is_forgiven() -> None:
    check = names.masked_prefix(names.dns1123_label)
    assert not check("web-", True)
    assert check("web-", False)
    assert check("-", True)


def test_path_segment_names_may_be_anything_that_stands_in_a_path() -> None:
    assert not names.path_segment_name("system:node")
    assert list(names.path_segment_name("..")) == ["may not be '..'"]
    assert list(names.path_segment_name("a/b%")) == ["may not contain '/'", "may not contain '%'"]


@pytest.mark.parametrize(("value", "want"), [("1.2.3.4", "1.2.3.4"), ("01.2.3.4", "1.2.3.4"), ("::ffff:1.2.3.4", "1.2.3.4"), ("FE80::1", "fe80::1")])
def test_addresses_are_read_as_go_reads_them(value: str, want: str) -> None:
    assert str(names.address(value)) == want


@pytest.mark.parametrize("value", ["", "1.2.3", "1.2.3.256", "1.2.3.4 ", "fe80::1%eth0", "x", "::1::"])
def test_what_is_no_address_is_refused(value: str) -> None:
    assert names.ip_address(value)


def test_unusual_forms_of_addresses_are_warned_about() -> None:
    assert names.ip_address_warnings("spec.x", "01.2.3.4") == [
        'spec.x: non-standard IP address "01.2.3.4" will be considered invalid in a future Kubernetes release: use "1.2.3.4"',
    ]
    assert names.ip_address_warnings("spec.x", "FE80::1") == ['spec.x: IPv6 address "FE80::1" should be in RFC 5952 canonical format ("fe80::1")']
    assert names.cidr_warnings("c", "10.0.0.1/8") == ['c: CIDR value "10.0.0.1/8" is ambiguous in this context (should be "10.0.0.0/8" or "10.0.0.1/32"?)']
    assert not names.cidr_warnings("c", "10.0.0.0/8")


def test_environment_variables_may_be_any_printable_ascii_but_equals() -> None:
    assert not names.environment_variable_name("a b!")
    assert names.environment_variable_name("a=b")
    assert names.environment_variable_name("ä")
    assert list(names.environment_variable_name("")) == ["environment variable name must be non-empty"]


@given(st.text(max_size=70))
def test_a_label_is_always_a_subdomain_and_a_label_value(value: str) -> None:
    if not names.dns1123_label(value):
        assert not names.dns1123_subdomain(value)
        assert not names.label_value(value)
        assert not names.label_key(value)


@given(st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,20}[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]{0,60}[A-Za-z0-9])?", fullmatch=True))
def test_a_prefixed_key_is_good_when_its_parts_are(value: str) -> None:
    prefix, _, _ = value.partition("/")
    assert bool(names.label_key(value)) is bool(names.dns1123_subdomain(prefix))
