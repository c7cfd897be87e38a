"""Bugs of informers and of whoever shares what they hand out."""
from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from kubelet_lite.client import cache
from kubelet_lite.client.cache import Informer
from kubelet_lite.controllers import replicaset
from kubelet_lite.simulation.faults.watches import UnobservedStates
from kubelet_lite.simulation.step import Step
from tests.simulation.mutants import scenarios
from tests.simulation.mutants.faults import drawn
from tests.simulation.mutants.mutant import mutant

INFORMERS = "controllers' informers"


@mutant("26", scenarios.grows_and_shrinks, "NoWriteToCachedObject")
def a_controller_writes_into_the_shared_cache(patch: pytest.MonkeyPatch) -> None:  # k#27687
    def plan(view: Any, now: float) -> Any:
        made = real_plan(view, now)
        for pod in view.pods:
            pod.metadata.labels["seen"] = "yes"
        return made

    patch.setattr(replicaset, "plan", plan)


real_plan = replicaset.plan


@drawn
def unobserved(random: Random) -> Sequence[Step]:
    return [UnobservedStates(at=random.uniform(0, 60), seconds=random.uniform(5, 20), part=INFORMERS, may_miss=True) for _ in range(2)]


@mutant("40", scenarios.grows_and_shrinks, "CacheConverges", "EventuallyStable", "QueueDrains", "NoSurplusPods", "OwnerDeletedImpliesCollected", faults=unobserved)
def what_went_while_nobody_looked_stays_in_the_cache(patch: pytest.MonkeyPatch) -> None:  # rabbitmq/cluster-operator#758
    def put(self: Informer[Any], key: Any, new: Any, last: Any = None) -> Any:
        if new is None and last is None:
            return cache.Change(self._objects.get(key), self._objects.get(key))
        return real_set(self, key, new, last)

    patch.setattr(Informer, "_set", put)


real_set = Informer._set


@mutant("40", scenarios.grows_and_shrinks, "CacheConverges", "EventuallyStable", "QueueDrains", "NoSurplusPods", faults=unobserved)
def a_list_takes_an_object_of_a_known_name_for_known(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(cache, "_same", lambda old, new: old is not None)


@mutant("30", scenarios.history, "CacheConverges", "EventuallyStable", "QueueDrains", "NoSurplusPods", "OwnerDeletedImpliesCollected", faults=unobserved)
def an_informer_that_was_cut_off_skips_what_it_missed(patch: pytest.MonkeyPatch) -> None:  # k#123072
    async def relist(self: Informer[Any]) -> None:
        if self._listed:
            self._lists += 1
            page = await self._client.list(self._kind)
            self._revision = int(page.resource_version)
            self._listed = self._lists
            self._relisted.set()
            return
        await real_list(self)

    patch.setattr(Informer, "_list", relist)


real_list = Informer._list
