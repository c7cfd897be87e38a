"""Errors of the API server: what it answers when it is overloaded, when its store is, or when somebody else was first."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Literal

from kubelet_lite.api.errors import (
    ApiError,
    Cause,
    Conflict,
    InternalError,
    ServiceUnavailable,
    Timeout,
    TooManyRequests,
)
from kubelet_lite.simulation.faults.requests import RequestFault

if TYPE_CHECKING:
    from kubelet_lite.simulation.faults.requests import Standing
    from kubelet_lite.simulation.gate import Request

RETRY_AFTER_SECONDS: Final = 1
"""What an overloaded API server asks for."""
LEADER_CHANGED: Final = "etcdserver: leader changed"
MODIFIED: Final = "the object has been modified; please apply your changes to the latest version and try again"
CHANGES: Final = frozenset({"update", "patch"})
"""Verbs that meet a Conflict: what is created or deleted has no revision to be stale."""


def _conflict(request: Request) -> ApiError:
    plural, _, group = request.resource.partition(".")
    return Conflict.of(group, plural, request.name, MODIFIED)


ANSWERS: Final[Mapping[int, Callable[[Request], ApiError]]] = {
    409: _conflict,
    429: lambda request: TooManyRequests(
        "the server has received too many requests and has asked us to try again later", retry_after_seconds=RETRY_AFTER_SECONDS,
    ),
    500: lambda request: InternalError(f"Internal error occurred: {LEADER_CHANGED}", causes=(Cause(message=LEADER_CHANGED),)),
    503: lambda request: ServiceUnavailable("the server is currently unable to handle the request"),
    504: lambda request: Timeout("Timeout: request did not complete within the allotted timeout"),
}
"""By HTTP code, in Kubernetes' words."""


class ApiErrors(RequestFault, frozen=True, kw_only=True):
    """The API server answers with an error, and nothing happens. A Conflict meets updates and patches alone."""

    code: Literal[409, 429, 500, 503, 504] = 500

    def concerns(self, request: Request) -> bool:
        return super().concerns(request) and (self.code != Conflict.code or request.verb in CHANGES)

    async def before(self, request: Request, here: Standing) -> None:
        if here.strikes():
            raise ANSWERS[self.code](request)

    def __str__(self) -> str:
        often = "every request" if self.chance >= 1 else f"{self.chance:.0%} of the requests"
        return f"{often} of {self.whom} answered with {self.code} for {self.seconds:g} s"
