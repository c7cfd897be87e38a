"""What a kubelet remembers of a pod beside the pod and the runtime's state: why containers wait, back-offs, probe results.

An immutable value: the pure core reads it, the shell replaces it with what its actions taught.
"""
from __future__ import annotations

from collections.abc import Mapping

import msgspec

from kubelet_lite.kubelet.restart import BackOff


class Reason(msgspec.Struct, frozen=True, gc=False):
    """Why a container's last start did not succeed."""

    reason: str
    message: str


class ProbeFacts(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What the probes of one container instance found so far; None: no verdict yet, or no such probe."""

    started: bool | None = None
    ready: bool | None = None
    alive: bool | None = None
    output: str = ""


class Ending(msgspec.Struct, frozen=True, gc=False):
    """Why the kubelet itself ends a pod: rejected at admission, past its deadline, evicted."""

    reason: str
    message: str


class PodMemory(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """`reasons` and `back_offs` by container name, `image_back_offs` by image, `probes` by container id."""

    started_at: float = 0.0
    """When the kubelet took the pod on."""
    reasons: Mapping[str, Reason] = msgspec.field(default_factory=dict)
    back_offs: Mapping[str, BackOff] = msgspec.field(default_factory=dict)
    image_back_offs: Mapping[str, BackOff] = msgspec.field(default_factory=dict)
    probes: Mapping[str, ProbeFacts] = msgspec.field(default_factory=dict)
    hook_failed: frozenset[str] = frozenset()
    """Ids of containers whose postStart hook failed: they are being killed."""
    starting: frozenset[str] = frozenset()
    """Ids of containers whose postStart hook still runs: to the API they do not run yet."""
    ending: Ending | None = None
    was_over: bool = False
    """The pod was over already when this kubelet first saw it: its status is history."""
    rejected: bool = False
    """The ending came at admission: nothing ever ran."""
    volumes_ready: bool = False
    volumes_retry_at: float = 0.0
    """After a failure to make them, not before this time."""
    claims_ready: bool = False
    claims_retry_at: float = 0.0
    """The same for its ResourceClaims."""
