"""Bugs of the API server: watches, writes, deletion, allocation, admission. Those of the store are tests/store/mutants.py's."""
from __future__ import annotations

from typing import Any, Final

import pytest
from msgspec.structs import replace

from kubelet_lite.api.requests import WatchEvent
from kubelet_lite.registry import deletion, watching
from kubelet_lite.registry.admission import resource_quota
from kubelet_lite.registry.kinds.services.allocation import ServiceAllocator
from kubelet_lite.registry.pipeline import Pipeline
from kubelet_lite.registry.subresources import eviction
from kubelet_lite.simulation.simulation import Setting
from tests.simulation.mutants import scenarios
from tests.simulation.mutants.faults import broken_watches, compaction_on_the_spot
from tests.simulation.mutants.mutant import MUTANTS, Mutant, mutant
from tests.store import mutants as of_store


@mutant("11", scenarios.evictions, "PDBNeverExceeded")
def an_eviction_is_counted_and_not_subtracted(patch: pytest.MonkeyPatch) -> None:  # k#82149
    def charged(budget: Any, pod: str, now: str) -> Any:
        made = real_charged(budget, pod, now)
        return replace(made, status=replace(made.status, disruptionsAllowed=budget.status.disruptionsAllowed))

    patch.setattr(eviction, "charged", charged)


real_charged = eviction.charged


@mutant("31", scenarios.addresses, "Invalid")
def an_address_is_not_given_back_with_the_last_finalizer(patch: pytest.MonkeyPatch) -> None:  # k#87603
    def written(self: ServiceAllocator, old: Any, new: Any) -> None:
        if new is None and old is not None and old.metadata.deletionTimestamp is not None:
            self._seen = self._view.changed("services")
            return
        real_written(self, old, new)

    patch.setattr(ServiceAllocator, "written", written)


real_written = ServiceAllocator.written


@mutant("31", scenarios.contested, "UniqueClusterIP", "UniqueNodePort")
def an_address_is_given_back_while_it_is_in_use(patch: pytest.MonkeyPatch) -> None:  # k#64466
    def written(self: ServiceAllocator, old: Any, new: Any) -> None:
        real_written(self, old, new if old is None else None)

    patch.setattr(ServiceAllocator, "written", written)


@mutant("Kubernetes' contract", scenarios.addresses, "FinalizersRespected")
def a_deletion_does_not_look_at_finalizers(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(deletion, "plan", lambda live, options, rules, now: deletion.Deletion(None, True))


@mutant("Kubernetes' contract", scenarios.two_images, "GenerationMovesWithSpecOnly")
def a_status_moves_the_generation(patch: pytest.MonkeyPatch) -> None:
    def written(self: Pipeline, target: Any, key: Any, live: Any, new: Any) -> Any:
        if new.kind == "ReplicaSet" and new.metadata.generation < 5 and new.metadata.generation == live.metadata.generation:
            new = replace(new, metadata=replace(new.metadata, generation=new.metadata.generation + 1))
        return real_pipeline_written(self, target, key, live, new)

    patch.setattr(Pipeline, "_written", written)


real_pipeline_written = Pipeline._written


@mutant("Kubernetes' contract", scenarios.contested, "UidNeverReused")
def a_new_object_gets_the_uid_of_the_last(patch: pytest.MonkeyPatch) -> None:
    from kubelet_lite.actors.environment import Environment

    real_uid = Environment.uid

    def uid(self: Environment) -> str:
        known = self.__dict__.setdefault("known_uids", [])
        known.append(real_uid(self))
        return str(known[-1] if len(known) % 100 else known[-2])

    patch.setattr(Environment, "uid", uid)


@mutant("Kubernetes' contract", scenarios.limited, "QuotaNeverExceeded")
def what_is_created_is_not_counted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(resource_quota, "_charged", lambda quota, requested, new, review: quota)


# Watches between the store and their readers


@mutant("29", scenarios.two_images, "Unique", "Ordered", "NoEventBelowRequestedRevision", "ListWatchContinuity", faults=broken_watches)
def what_was_buffered_is_sent_again(patch: pytest.MonkeyPatch) -> None:  # k#73845
    async def next_batch(self: watching.WatchStream) -> Any:
        last = self.__dict__.get("last", ())
        batch = await real_next(self)
        self.__dict__["last"] = [event for event in batch if event.type == "MODIFIED"]
        return [*last, *batch] if last and len(batch) == 1 else batch

    patch.setattr(watching.WatchStream, "__anext__", next_batch)


real_next = watching.WatchStream.__anext__


@mutant("28", scenarios.pods_go, "DeleteCarriesDeleteRevision")
def a_deletion_shows_the_object_as_it_was(patch: pytest.MonkeyPatch) -> None:  # k#58545
    patch.setattr(watching, "_last", lambda event: event.previous)


@mutant("etcd's contract", scenarios.pods_go, "SelectorTransition", "IsCreate")
def what_begins_to_be_selected_is_modified(patch: pytest.MonkeyPatch) -> None:
    def selected(self: watching.WatchStream, batch: Any) -> Any:
        events = real_selected(self, batch)
        return [WatchEvent("MODIFIED", event.object) if event.type == "ADDED" else event for event in events]

    patch.setattr(watching.WatchStream, "_selected", selected)


real_selected = watching.WatchStream._selected


# The store's, in a cluster


OF_STORE: Final = {
    of_store.an_event_is_skipped: ("27, etcd#15220", ("Reliable", "Resumable", "ListWatchContinuity", "NoPermanentLoss")),
    of_store.events_of_a_batch_are_reordered: ("etcd's contract", ("Ordered", "Reliable", "Resumable", "ListWatchContinuity")),
    of_store.a_watch_begins_one_event_too_late: ("27", ("Resumable", "ListWatchContinuity", "NoPermanentLoss")),
    of_store.a_watch_begins_now_whatever_it_asked_for: ("27, k#49956", ("Resumable", "ListWatchContinuity", "NoPermanentLoss")),
    of_store.an_event_carries_the_wrong_previous_object: ("etcd#19179", ("PrevKV",)),
    of_store.an_update_forgets_the_previous_object: ("etcd#19179", ("IsCreate", "PrevKV")),
    of_store.a_deletion_carries_the_old_revision: ("28", ("DeleteCarriesDeleteRevision", "RevisionMonotone")),
    of_store.a_deletion_has_the_revision_of_the_change_before: ("28", ("DeleteCarriesDeleteRevision", "RevisionMonotone", "NoFutureRevision")),
    of_store.a_deletion_makes_no_event: ("30", ("RevisionMonotone", "NoPermanentLoss", "PrevKV", "IsCreate")),
    of_store.a_watch_that_was_overtaken_goes_on_behind_the_gap: ("etcd#18089", ("GoneOnCompaction", "Reliable")),
    of_store.compaction_loses_a_live_object: ("etcd#17780", ("CompactionKeepsLive", "Linearizable", "PrevKV", "IsCreate", "CompareAndSwapExclusive")),
    of_store.compaction_moves_the_cursors_of_filtered_watches: ("etcd#20221", ("Reliable", "NoPermanentLoss", "GoneOnCompaction", "Unique", "Ordered")),
    of_store.compaction_drops_what_filtered_watches_have_not_been_handed: ("30", ("Reliable", "NoPermanentLoss", "GoneOnCompaction")),
    of_store.a_watch_from_before_the_compaction_is_let_in: ("etcd#18089", ("GoneOnCompaction", "Resumable", "ListWatchContinuity")),
    of_store.a_list_leaves_its_namespace: ("etcd's contract", ("Linearizable",)),
    of_store.the_index_keeps_what_has_changed: ("etcd's contract", ("Linearizable",)),
}
"""Those whose mistake can be seen from a cluster: bug, invariants."""
SPECIAL: Final[dict[Any, dict[str, Any]]] = {
    of_store.a_list_leaves_its_namespace: {"scenario": scenarios.namespaces},
    of_store.compaction_drops_what_filtered_watches_have_not_been_handed: {
        "scenario": scenarios.pods_go, "faults": compaction_on_the_spot, "setting": Setting(nodes=2, settle=True, order_chance=0.5),
    },
}
"""What shows in another scenario than `history`, or by other faults than `broken_watches`."""
for _plant, (_bug, _expected) in OF_STORE.items():
    MUTANTS.append(Mutant(
        bug=_bug, plant=_plant, expected=_expected, **{"scenario": scenarios.history, "faults": broken_watches, **SPECIAL.get(_plant, {})},
    ))
