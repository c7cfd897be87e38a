"""What users limit: disruptions and quotas.

https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/ https://kubernetes.io/docs/concepts/policy/resource-quotas/
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from kubelet_lite.api import quantities, selectors
from kubelet_lite.api.core_v1 import ResourceQuota
from kubelet_lite.api.policy_v1 import PodDisruptionBudget
from kubelet_lite.api.scheduling_rules import FINISHED
from kubelet_lite.simulation.archive import Revision
from kubelet_lite.simulation.invariant import Invariant
from kubelet_lite.simulation.invariants.facts import is_ready, named
from kubelet_lite.simulation.snapshot import Snapshot

EVICTED: Final = "EvictionByEvictionAPI"


class PDBNeverExceeded(Invariant):
    """Eviction takes no more ready pods of a budget than `disruptionsAllowed` says, each counted before it goes.

    Only evictions are bound: a pod that is deleted, or that dies with its node, is not. A pod that is pending, finished or going may go; one
    that is not ready may, by the budget's policy.
    """

    name = "PDBNeverExceeded"
    resources = ("pods", "poddisruptionbudgets.policy")

    def on_revision(self, revision: Revision, before: Snapshot) -> Iterable[str]:
        event = revision.event
        new, old = event.object, event.previous
        if event.key.resource != "pods":
            return _charged(revision, old, new)
        if new is None or old is None or not _is_evicted(new) or _is_evicted(old):
            return ()
        if not is_ready(old) or old.status.phase in (*FINISHED, "Pending") or old.metadata.deletionTimestamp is not None:
            return ()
        return [
            f"{event.key} was evicted at revision {event.revision}, and the budget {named(budget)} does not know of it"
            for budget in before.list(PodDisruptionBudget, event.key.namespace)
            if selectors.from_label_selector(budget.spec.selector).matches(old.metadata.labels) and event.key.name not in budget.status.disruptedPods
        ]


def _is_evicted(pod: Any) -> bool:
    return any(c.type == "DisruptionTarget" and c.status == "True" and c.reason == EVICTED for c in pod.status.conditions)


def _charged(revision: Revision, old: Any, new: Any) -> Iterable[str]:
    """A budget that counts another disrupted pod gives one disruption less, and none that it has not."""
    if new is None or old is None:
        return
    left, had = new.status.disruptionsAllowed, old.status.disruptionsAllowed
    added = [name for name in new.status.disruptedPods if name not in old.status.disruptedPods]
    if added and new.status.observedGeneration == old.status.observedGeneration and new.status.currentHealthy == old.status.currentHealthy:
        if left > had - len(added):
            yield f"{revision.event.key} counts {', '.join(added)} at revision {revision.event.revision} and still allows {left} disruptions of {had}"
        elif had < len(added):
            yield f"{revision.event.key} counts {', '.join(added)} at revision {revision.event.revision}; it allowed {had} disruptions"


class QuotaNeverExceeded(Invariant):
    """What is created is counted in the namespace's quotas, and the count never rises above what they allow.

    As of each quota's own status, which limits nothing before it is written; a limit that is lowered takes nothing away.
    """

    name = "QuotaNeverExceeded"

    def on_revision(self, revision: Revision, before: Snapshot) -> Iterable[str]:
        event = revision.event
        if event.key.resource == "resourcequotas":
            return _raised(revision)
        if event.previous is not None or event.object is None or not before.all("resourcequotas"):
            return ()
        return self._counted(revision, before)

    def _counted(self, revision: Revision, before: Snapshot) -> Iterable[str]:
        key, number = revision.event.key, revision.event.revision
        quotas = before.list(ResourceQuota, key.namespace)
        for quota in quotas:
            if quota.spec.scopes or quota.spec.scopeSelector is not None:
                continue
            name = next((name for name in (f"count/{key.resource}", key.resource) if name in quota.status.hard), None)
            if name is not None and int(quota.metadata.resourceVersion) < number - len(quotas):
                yield f"{key} was created at revision {number}, and the quota {named(quota)} did not count it as {name}"


def _raised(revision: Revision) -> Iterable[str]:
    new, old = revision.event.object, revision.event.previous
    if new is None or old is None:
        return
    for name, used in new.status.used.items():
        hard, was = new.status.hard.get(name), old.status.used.get(name)
        if hard is None or was is None or old.status.hard.get(name) != hard:
            continue
        if quantities.parse(used) > quantities.parse(was) and quantities.parse(used) > quantities.parse(hard):
            yield f"{revision.event.key} counts {used} of {name} at revision {revision.event.revision}, and allows {hard}"
