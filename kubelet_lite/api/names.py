"""What names, labels, addresses and the like must look like. Each function returns what is wrong, in Kubernetes' own words; empty: nothing.

https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
"""
from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

LABEL_LENGTH: Final = 63
SUBDOMAIN_LENGTH: Final = 253
PORT_NAME_LENGTH: Final = 15
HIGHEST_PORT: Final = 65535
HIGHEST_ID: Final = 2 ** 31 - 1

_LABEL: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_LABEL_UNDERSCORE: Final = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SUBDOMAIN: Final = rf"{_LABEL}(\.{_LABEL})*"
_SUBDOMAIN_UNDERSCORE: Final = rf"{_LABEL_UNDERSCORE}(\.{_LABEL_UNDERSCORE})*"
_LABEL_1035: Final = "[a-z]([-a-z0-9]*[a-z0-9])?"
_WILDCARD: Final = rf"\*\.{_SUBDOMAIN}"
_KEY: Final = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_IDENTIFIER: Final = "[A-Za-z_][A-Za-z0-9_]*"
_CONFIG_KEY: Final = "[-._a-zA-Z0-9]+"
_HEADER: Final = "[-A-Za-z0-9]+"
_HTTP_PATH: Final = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"
_PERCENT: Final = "[0-9]+%"

Messages = Sequence[str]
_GOOD: Final[Messages] = ()


def _matches(pattern: str) -> Callable[[str], object]:
    return re.compile(pattern, re.ASCII).fullmatch


_is_label, _is_subdomain, _is_subdomain_underscore = _matches(_LABEL), _matches(_SUBDOMAIN), _matches(_SUBDOMAIN_UNDERSCORE)
_is_label_1035, _is_wildcard, _is_key, _is_identifier = _matches(_LABEL_1035), _matches(_WILDCARD), _matches(_KEY), _matches(_IDENTIFIER)
_is_config_key, _is_header, _is_http_path = _matches(_CONFIG_KEY), _matches(_HEADER), _matches(_HTTP_PATH)
_is_percent, _is_port_name = _matches(_PERCENT), _matches("[-a-z0-9]+")


def pattern_message(text: str, pattern: str, *examples: str) -> str:
    """What Kubernetes says of a value that does not match a pattern."""
    if not examples:
        return f"{text} (regex used for validation is '{pattern}')"
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{text} (e.g. {shown}regex used for validation is '{pattern}')"


def too_long(limit: int, unit: str = "characters") -> str:
    return f"must be no more than {limit} {unit}"


def not_between(lowest: int, highest: int) -> str:
    return f"must be between {lowest} and {highest}, inclusive"


def _length(value: str) -> int:
    return len(value) if value.isascii() else len(value.encode())


# ---- names of objects


@lru_cache(maxsize=16384)
def dns1123_label(value: str) -> Messages:
    wrong = [too_long(LABEL_LENGTH)] if _length(value) > LABEL_LENGTH else []
    if not _is_label(value):
        if _is_subdomain(value):
            wrong.append("must not contain dots")
        else:
            wrong.append(pattern_message(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an "
                "alphanumeric character", _LABEL, "my-name", "123-abc",
            ))
    return wrong or _GOOD


@lru_cache(maxsize=16384)
def dns1123_subdomain(value: str, *, unit: str = "characters") -> Messages:
    wrong = [too_long(SUBDOMAIN_LENGTH, unit)] if _length(value) > SUBDOMAIN_LENGTH else []
    if not _is_subdomain(value):
        wrong.append(pattern_message(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with "
            "an alphanumeric character", _SUBDOMAIN, "example.com",
        ))
    return wrong or _GOOD


def dns1123_subdomain_with_underscore(value: str) -> Messages:
    wrong = [too_long(SUBDOMAIN_LENGTH)] if _length(value) > SUBDOMAIN_LENGTH else []
    if not _is_subdomain_underscore(value):
        wrong.append(pattern_message(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end "
            "with an alphanumeric character", _SUBDOMAIN_UNDERSCORE, "example.com",
        ))
    return wrong or _GOOD


def dns1035_label(value: str) -> Messages:
    wrong = [too_long(LABEL_LENGTH)] if _length(value) > LABEL_LENGTH else []
    if not _is_label_1035(value):
        wrong.append(pattern_message(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with "
            "an alphanumeric character", _LABEL_1035, "my-name", "abc-123",
        ))
    return wrong or _GOOD


def wildcard_dns1123_subdomain(value: str) -> Messages:
    wrong = [too_long(SUBDOMAIN_LENGTH)] if _length(value) > SUBDOMAIN_LENGTH else []
    if not _is_wildcard(value):
        wrong.append(pattern_message(
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case "
            "alphanumeric characters, '-' or '.' and end with an alphanumeric character", _WILDCARD, "*.example.com",
        ))
    return wrong or _GOOD


def path_segment_name(value: str) -> Messages:
    """Names of RBAC objects and the like: anything that may stand in a path."""
    if value in (".", ".."):
        return [f"may not be '{value}'"]
    return path_segment_prefix(value)


def path_segment_prefix(value: str) -> Messages:
    return [f"may not contain '{part}'" for part in ("/", "%") if part in value]


def masked_prefix(check: Callable[[str], Messages]) -> Callable[[str, bool], Messages]:
    """The check of a kind's names as (name, is a generateName prefix): of a prefix, a dash at its end is forgiven."""

    def checked(value: str, prefix: bool) -> Messages:
        return check(value[:-2] + "a" if prefix and len(value) > 1 and value.endswith("-") else value)

    return checked


def path_segment_name_or_prefix(value: str, prefix: bool) -> Messages:
    """As the checks that `masked_prefix` makes, for names that are path segments."""
    return path_segment_prefix(value) if prefix else path_segment_name(value)


# ---- labels, annotations, finalizers


@lru_cache(maxsize=16384)
def label_key(value: str) -> Messages:
    """Also called a qualified name: `[prefix/]name`."""
    text = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
    shape = pattern_message(text, _KEY, "MyName", "my.name", "123-abc")
    prefix, slash, name = value.rpartition("/")
    if "/" in prefix:
        return [f"a valid label key {shape} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"]
    wrong: list[str] = []
    if slash:
        wrong += [f"prefix part {message}" for message in dns1123_subdomain(prefix, unit="bytes")] if prefix else ["prefix part must be non-empty"]
    if not name:
        wrong.append("name part must be non-empty")
    elif _length(name) > LABEL_LENGTH:
        wrong.append(f"name part {too_long(LABEL_LENGTH, 'bytes')}")
    if not _is_key(name):
        wrong.append(f"name part {shape}")
    return wrong or _GOOD


qualified_name = label_key


@lru_cache(maxsize=16384)
def label_value(value: str) -> Messages:
    wrong = [too_long(LABEL_LENGTH, "bytes")] if _length(value) > LABEL_LENGTH else []
    if value and not _is_key(value):
        wrong.append(pattern_message(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
            "alphanumeric character", f"({_KEY})?", "MyValue", "my_value", "12345",
        ))
    return wrong or _GOOD


def domain_prefixed_key(value: str) -> Messages:
    """`acme.io/foo`. The caller says that an empty one is required."""
    wrong = label_key(value)
    if wrong or "/" in value:
        return wrong
    return ['must be a domain-prefixed key (such as "acme.io/foo")']


def domain_prefixed_path(value: str) -> list[tuple[str, str]]:
    """(the offending part, message): `acme.io/foo/bar`. The caller says that an empty one is required."""
    host, _, path = value.partition("/")
    if not host or not path:
        return [(value, 'must be a domain-prefixed path (such as "acme.io/foo")')]
    wrong = [(host, message) for message in dns1123_subdomain(host)]
    if not _is_http_path(path):
        wrong.append((path, pattern_message("Invalid path", _HTTP_PATH)))
    return wrong


def fully_qualified_name(value: str) -> Messages:
    """At least three segments."""
    if wrong := dns1123_subdomain(value):
        return [",".join(wrong)]
    return _GOOD if value.count(".") >= 2 else ["should be a domain with at least three segments separated by dots"]


# ---- ports, numbers, keys


def port_number(value: int) -> Messages:
    return _GOOD if 1 <= value <= HIGHEST_PORT else [not_between(1, HIGHEST_PORT)]


def port_name(value: str) -> Messages:
    wrong = [too_long(PORT_NAME_LENGTH)] if _length(value) > PORT_NAME_LENGTH else []
    if not _is_port_name(value):
        wrong.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        wrong.append("must contain at least one letter (a-z)")
    if "--" in value:
        wrong.append("must not contain consecutive hyphens")
    if value and "-" in (value[0], value[-1]):
        wrong.append("must not begin or end with a hyphen")
    return wrong or _GOOD


def user_id(value: int) -> Messages:
    return _GOOD if 0 <= value <= HIGHEST_ID else [not_between(0, HIGHEST_ID)]


group_id = user_id


def percent(value: str) -> Messages:
    if _is_percent(value):
        return _GOOD
    return [pattern_message("a valid percent string must be a numeric string followed by an ending '%'", _PERCENT, "1%", "93%")]


def http_header_name(value: str) -> Messages:
    if _is_header(value):
        return _GOOD
    return [pattern_message("a valid HTTP header must consist of alphanumeric characters or '-'", _HEADER, "X-Header-Name")]


def c_identifier(value: str) -> Messages:
    if _is_identifier(value):
        return _GOOD
    return [pattern_message(
        "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_'",
        _IDENTIFIER, "my_name", "MY_NAME", "MyName",
    )]


def environment_variable_name(value: str) -> Messages:
    """What 1.36 allows in a container: any printable ASCII but `=`."""
    if not value:
        return ["environment variable name must be non-empty"]
    if value.isascii() and value.isprintable() and "=" not in value:
        return _GOOD
    return ["a valid environment variable name must consist only of printable ASCII characters other than '='"]


@lru_cache(maxsize=4096)
def config_map_key(value: str) -> Messages:
    wrong = [too_long(SUBDOMAIN_LENGTH)] if _length(value) > SUBDOMAIN_LENGTH else []
    if not _is_config_key(value):
        wrong.append(pattern_message(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.'", _CONFIG_KEY, "key.name", "KEY_NAME", "key-name",
        ))
    wrong += _parent_directory(value)
    return wrong or _GOOD


def _parent_directory(value: str) -> list[str]:
    if value in (".", ".."):
        return [f"must not be '{value}'"]
    return ["must not start with '..'"] if value.startswith("..") else []


# ---- addresses


@lru_cache(maxsize=4096)
def address(value: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that Go reads: leading zeros in IPv4 octets are decimal, an IPv4-mapped IPv6 address is IPv4, zones are refused."""
    if ":" not in value:
        octets = value.split(".")
        if len(octets) != 4 or not all(o and o.isascii() and o.isdigit() and int(o) < 256 for o in octets):
            return None
        return ipaddress.IPv4Address(".".join(str(int(o)) for o in octets))
    try:
        found = ipaddress.IPv6Address(value)
    except ValueError:
        return None
    return None if found.scope_id is not None else found.ipv4_mapped or found


@lru_cache(maxsize=4096)
def network(value: str) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, ipaddress.IPv4Network | ipaddress.IPv6Network] | None:
    """(the address before the slash, the network it is in)."""
    text, slash, length = value.partition("/")
    found = address(text)
    if found is None or not slash or not (length.isascii() and length.isdigit()) or (len(length) > 1 and length[0] == "0"):
        return None
    bits = int(length)
    if ":" in text and found.version == 4:  # ::ffff:10.0.0.0/104 stands for 10.0.0.0/8
        bits -= 96
    if not 0 <= bits <= found.max_prefixlen:
        return None
    return found, ipaddress.ip_network(f"{found}/{bits}", strict=False)


def ip_address(value: str) -> Messages:
    return _GOOD if address(value) is not None else ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]


def cidr(value: str) -> Messages:
    return _GOOD if network(value) is not None else ["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"]


def ip_address_warnings(path: str, value: str) -> Messages:
    """What a Warning says of a valid address in an unusual form."""
    found = address(value)
    if found is None or str(found) == value:
        return _GOOD
    if found.version == 6:
        return [f'{path}: IPv6 address "{value}" should be in RFC 5952 canonical format ("{found}")']
    return [f'{path}: non-standard IP address "{value}" will be considered invalid in a future Kubernetes release: use "{found}"']


def cidr_warnings(path: str, value: str) -> Messages:
    found = network(value)
    if found is None:
        return _GOOD
    inside, net = found
    wrong = []
    if inside != net.network_address:
        wrong.append(f'{path}: CIDR value "{value}" is ambiguous in this context (should be "{net}" or "{inside}/{inside.max_prefixlen}"?)')
    written = value.partition("/")[0]
    if inside.version == 4 and str(inside) != written:
        wrong.append(f'{path}: non-standard CIDR value "{value}" will be considered invalid in a future Kubernetes release: use "{net}"')
    elif not wrong and inside.version == 6 and str(inside) != written:
        wrong.append(f'{path}: IPv6 CIDR value "{value}" should be in RFC 5952 canonical format ("{net}")')
    return wrong or _GOOD
