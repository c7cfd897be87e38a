"""The subresource `eviction` of pods: a delete that a PodDisruptionBudget may refuse.

https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from kubelet_lite.api import selectors
from kubelet_lite.api.core_v1 import Pod, PodCondition
from kubelet_lite.api.errors import ApiError, Cause, Forbidden, TooManyRequests
from kubelet_lite.api.meta_v1 import Condition
from kubelet_lite.api.policy_v1 import PodDisruptionBudget
from kubelet_lite.registry.subresources.binding import with_condition

MAX_DISRUPTED_PODS: Final = 2000
"""Evictions of one budget that its controller has not seen yet."""
RETRY_SECONDS: Final = 10
REFUSED: Final = "Cannot evict pod as it would violate the pod's disruption budget."
BUDGETS: Final = "poddisruptionbudgets.policy"


def budget_of(pod: Pod, budgets: Sequence[PodDisruptionBudget]) -> PodDisruptionBudget | None:
    """The budget that has a say in the pod's eviction. Raises a 500 when there are several."""
    if not pod.metadata.labels or _may_go(pod):
        return None
    found = [budget for budget in budgets if selectors.from_label_selector(budget.spec.selector).matches(pod.metadata.labels)]
    if len(found) > 1:
        raise ApiError(
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.", code=500, reason="InternalError",
        )
    return found[0] if found else None


def _may_go(pod: Pod) -> bool:
    return pod.status.phase in ("Succeeded", "Failed", "Pending") or pod.metadata.deletionTimestamp is not None


def is_guarded(pod: Pod, budget: PodDisruptionBudget) -> bool:
    """Whether the eviction counts against the budget; of a pod that is not ready it need not."""
    if any(condition.type == "Ready" and condition.status == "True" for condition in pod.status.conditions):
        return True
    if budget.spec.unhealthyPodEvictionPolicy == "AlwaysAllow":
        return False
    status = budget.status
    return not (status.currentHealthy >= status.desiredHealthy > 0)


def charged(budget: PodDisruptionBudget, pod: str, now_text: str) -> PodDisruptionBudget:
    """The budget with one disruption less to give. Raises TooManyRequests, Forbidden."""
    name, status = budget.metadata.name, budget.status
    if status.observedGeneration < budget.metadata.generation:
        raise _refused(f"The disruption budget {name} is still being processed by the server.", RETRY_SECONDS)
    if status.disruptionsAllowed < 0:
        raise _forbidden(name, "pdb disruptions allowed is negative")
    if len(status.disruptedPods) > MAX_DISRUPTED_PODS:
        raise _forbidden(name, "DisruptedPods map too big - too many evictions not confirmed by PDB controller")
    if status.disruptionsAllowed == 0:
        failed = next((c for c in status.conditions if c.type == "DisruptionAllowed" and c.reason == "SyncFailed"), None)
        if failed is not None:
            raise _refused(f"The disruption budget {name} does not allow evicting pods currently because it failed sync: {failed.message}")
        raise _refused(f"The disruption budget {name} needs {status.desiredHealthy} healthy pods and has {status.currentHealthy} currently")
    left = status.disruptionsAllowed - 1
    conditions = status.conditions
    if left == 0:
        condition = Condition(
            type="DisruptionAllowed", status="False", reason="InsufficientPods", observedGeneration=status.observedGeneration,
        )
        conditions = with_condition(conditions, condition, now_text)
    return replace(budget, status=replace(
        status, disruptionsAllowed=left, conditions=conditions, disruptedPods={**status.disruptedPods, pod: now_text},
    ))


def _refused(why: str, seconds: int | None = None) -> TooManyRequests:
    return TooManyRequests(REFUSED, causes=(Cause(reason="DisruptionBudget", message=why),), retry_after_seconds=seconds)


def _forbidden(name: str, why: str) -> Forbidden:
    return Forbidden(f'poddisruptionbudget.policy "{name}" is forbidden: {why}', details={"name": name, "group": "policy", "kind": "poddisruptionbudget"})


def marked(pod: Pod, now_text: str) -> Pod:
    """The pod with the condition that tells why it goes."""
    condition = PodCondition(type="DisruptionTarget", status="True", reason="EvictionByEvictionAPI", message="Eviction API: evicting")
    return replace(pod, status=replace(pod.status, conditions=with_condition(pod.status.conditions, condition, now_text)))
