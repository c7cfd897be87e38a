"""What placed pods of each priority ask for: what a node would have were the less important ones gone."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from kubelet_lite.scheduler.pod_info import PodInfo
from kubelet_lite.scheduler.pod_tallies import FIRST_CAPACITY, Tally

PODS: Final = "pods"
"""How many they are, among the resources."""


class RequestedByPriority:
    """Kept once someone has asked: where no pod displaces others it costs nothing."""

    def __init__(self) -> None:
        self._tallies: dict[int, dict[str, Tally]] = {}
        self.asked = False

    def add(self, info: PodInfo, row: int, sign: int) -> None:
        """Counts a pod on a row, or (-1) no longer. Only if `asked`."""
        tallies = self._tallies.setdefault(info.priority, {})
        for resource, amount in (*info.requests.items(), (PODS, 1)):
            tally = tallies.get(resource)
            if tally is None:
                tally = tallies[resource] = Tally(FIRST_CAPACITY)
            tally.add(row, sign * amount)

    def below(self, priority: int, placed: Iterable[tuple[PodInfo, int]]) -> Iterable[tuple[str, Tally]]:
        """The tallies of pods of lower priority. `placed`: all pods, read the first time."""
        if not self.asked:
            self.asked = True
            for info, row in placed:
                self.add(info, row, 1)
        return [item for its, tallies in self._tallies.items() if its < priority for item in tallies.items()]
