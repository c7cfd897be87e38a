"""Whether and when a container that has exited starts again: restart policies, rules by exit code, back-off. Pure.

https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy, KEP-5307 (container restart rules)
"""
from __future__ import annotations

from typing import Final

import msgspec

from kubelet_lite.api.core_v1 import Container, Pod
from kubelet_lite.runtimes.base import ContainerStatus

FIRST_BACK_OFF_SECONDS: Final = 10.0
LONGEST_BACK_OFF_SECONDS: Final = 300.0
FORGET_AFTER_SECONDS: Final = 2 * LONGEST_BACK_OFF_SECONDS
"""A container that ran for so long starts from the first back-off again."""


class BackOff(msgspec.Struct, frozen=True, gc=False):
    """How long to hold the next start back, counted from the last exit (or failed pull)."""

    seconds: float
    updated_at: float

    def holds(self, since: float, now: float) -> bool:
        return not self._forgotten(since) and now - since < self.seconds

    def _forgotten(self, since: float) -> bool:
        return since - self.updated_at > FORGET_AFTER_SECONDS


def next_back_off(known: BackOff | None, since: float, now: float) -> BackOff:
    """The back-off that a start at this moment leaves behind."""
    if known is None or since - known.updated_at > FORGET_AFTER_SECONDS:
        return BackOff(FIRST_BACK_OFF_SECONDS, now)
    return BackOff(min(known.seconds * 2, LONGEST_BACK_OFF_SECONDS), now)


def is_sidecar(container: Container) -> bool:
    """For init containers: one that keeps running beside the others."""
    return container.restartPolicy == "Always"


def restarts_after(container: Container, pod: Pod, exit_code: int) -> bool:
    """Whether a container starts again after this exit, its pod not being deleted."""
    for rule in container.restartPolicyRules:
        codes = rule.exitCodes
        if codes is not None and (exit_code in codes.values) == (codes.operator == "In"):
            return rule.action == "Restart"
    policy = container.restartPolicy or pod.spec.restartPolicy or "Always"
    if policy == "Never":
        return False
    return policy == "Always" or exit_code != 0


def should_start(container: Container, pod: Pod, newest: ContainerStatus | None) -> bool:
    """Whether a container that does not run is to be started."""
    if pod.metadata.deletionTimestamp is not None:
        return False
    if newest is None:
        return True
    if newest.state == "running":
        return False
    return newest.state == "created" or restarts_after(container, pod, newest.exit_code)
