"""Which placed pods use volumes that matter to others."""
from __future__ import annotations

import collections

from kubelet_lite.scheduler.pod_info import PodInfo
from kubelet_lite.scheduler.pod_tallies import FIRST_CAPACITY, Tally

Key = tuple[str, str]


class PlacedVolumes:
    def __init__(self) -> None:
        self.pods: dict[int, dict[Key, PodInfo]] = {}
        """By row, the pods whose volumes matter."""
        self.count = Tally(FIRST_CAPACITY)
        """How many volumes these are."""
        self._claim_users: collections.Counter[Key] = collections.Counter()

    def users_of_claim(self, namespace: str, name: str) -> int:
        """How many placed pods use a claim."""
        return self._claim_users[namespace, name]

    def add(self, info: PodInfo, row: int, sign: int) -> None:
        """Counts a pod on a row, or (-1) no longer."""
        if sign > 0:
            self.pods.setdefault(row, {})[info.key] = info
        else:
            del self.pods[row][info.key]
        self.count.add(row, sign * len(info.volumes))
        for volume in info.volumes:
            if volume.persistentVolumeClaim is not None:
                claim = info.pod.metadata.namespace, volume.persistentVolumeClaim.claimName
                self._claim_users[claim] += sign
                if not self._claim_users[claim]:
                    del self._claim_users[claim]
