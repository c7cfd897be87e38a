"""Every bound on what a store keeps beside the live objects."""
from __future__ import annotations

import msgspec

MIB = 1 << 20


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    history_age_seconds: float = 300.0
    """How long an event can be watched from and a snapshot be read: etcd is compacted every five minutes by kube-apiserver too."""
    history_events: int = 100_000
    """Events kept of one resource: the largest watch cache of kube-apiserver. One busy resource does not shorten another's history."""
    history_bytes: int = 64 * MIB
    """Encoded bytes of the superseded objects in all histories. Measured by samples when writes come fast."""
    encoded_bytes: int = 64 * MIB
    """Encodings kept to be shared by GET, LIST and watch streams."""
    event_ttl_seconds: float = 3600.0
    """How long an Event object lives after it was last written (kube-apiserver's --event-ttl)."""
    event_objects: int = 20_000
    """Event objects kept; beyond it those written longest ago go first. Kubernetes has no such bound: its etcd has a disk."""
