"""References to images, as the registries read them: only to tell which tag one names, which decides when it is pulled.

https://github.com/distribution/reference
"""
from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

LONGEST_REPOSITORY: Final = 255
_DOMAIN_PART: Final = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN: Final = rf"(?:{_DOMAIN_PART}(?:\.{_DOMAIN_PART})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_PATH_PART: Final = r"[a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*"
_REFERENCE: Final = re.compile(
    rf"(?P<name>(?:{_DOMAIN}/)?{_PATH_PART}(?:/{_PATH_PART})*)(?::(?P<tag>\w[\w.-]{{0,127}}))?"
    r"(?:@(?P<digest>[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?", re.ASCII,
)
_IDENTIFIER: Final = re.compile(r"[a-f0-9]{64}")
_DIGEST_LENGTHS: Final = {"sha256": 64, "sha384": 96, "sha512": 128}


@lru_cache(maxsize=4096)
def image_tag(image: str) -> str:
    """`latest` where the reference names neither tag nor digest; empty for a digest alone and for what is no reference."""
    found = _REFERENCE.fullmatch(image)
    if found is None or _IDENTIFIER.fullmatch(image) or len(_full_name(found["name"])) > LONGEST_REPOSITORY:
        return ""
    tag, digest = found["tag"] or "", found["digest"]
    if digest is None:
        return tag or "latest"
    algorithm, _, value = digest.partition(":")
    return tag if _DIGEST_LENGTHS.get(algorithm) == len(value) else ""


def _full_name(name: str) -> str:
    """With the registry and the folder that a short name leaves out."""
    first, slash, _ = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost" or first != first.lower()):
        return name
    return f"docker.io/{name}" if slash else f"docker.io/library/{name}"


def default_pull_policy(image: str) -> str:
    return "Always" if image_tag(image) == "latest" else "IfNotPresent"
