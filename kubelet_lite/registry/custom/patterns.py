"""Regular expressions of schemas. Kubernetes' are Go's, whose syntax and guarantee of linear time are RE2's: so is the library here.

https://github.com/google/re2/wiki/Syntax
"""
from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

KNOWN_PATTERNS: Final = 1024
"""Compiled patterns that are remembered."""
_GO_WORDS: Final = {
    "missing ]": "missing closing ]", "missing )": "missing closing )", "unexpected )": "unexpected )",
    "trailing \\": "trailing backslash at end of expression", "no argument for repetition operator": "missing argument to repetition operator",
    "invalid perl operator": "invalid or unsupported Perl syntax", "invalid repetition size": "invalid repeat count",
    "bad repetition operator": "invalid nested repetition operator", "invalid named capture group": "invalid named capture",
}
"""What Go says where RE2's C++ says something else."""


def matches(pattern: str, text: str) -> bool:
    """Whether any part of the text matches. A pattern that is none (of an object older than its check) matches nothing."""
    compiled = _compiled(pattern)
    return not isinstance(compiled, str) and compiled.search(text) is not None


def error(pattern: str) -> str:
    """What is wrong with a pattern, in Go's words; "" when it is one."""
    compiled = _compiled(pattern)
    return compiled if isinstance(compiled, str) else ""


@lru_cache(maxsize=KNOWN_PATTERNS)
def _compiled(pattern: str) -> Any:
    import re2  # first when a schema has a pattern

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options=options)
    except re2.error as found:
        what, _, where = found.args[0].decode("utf-8", "replace").partition(": ")
        shown = f": `{where}`" if where else ""
        return f"error parsing regexp: {_GO_WORDS.get(what, what)}{shown}"
