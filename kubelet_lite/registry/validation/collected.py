"""Checks are written as generators of FieldErrors; a kind's rules want them whole."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import ParamSpec

from kubelet_lite.api.errors import FieldError

P = ParamSpec("P")


def collected(check: Callable[P, Iterator[FieldError]]) -> Callable[P, Sequence[FieldError]]:
    """The check as a function that returns all its errors."""

    @wraps(check)
    def run(*args: P.args, **kwargs: P.kwargs) -> Sequence[FieldError]:
        return tuple(check(*args, **kwargs))

    return run
