"""Keeping objects: a log with an index. Specified in docs/architecture.md; the shape is that of etcd's mvcc.

    store.py         Store: the one thing to use from outside; what it promises
    keys, event, errors, limits, head     its values
    table.py         one resource: live objects in order, the history of each key, snapshots, pages (sorted_names, field_index)
    log.py           one resource's events, and the streams of them that watchers read
    watch.py         WatchChannel: a cursor into a stream (wakeup.py: one wake-up a loop turn)
    transaction.py   all or nothing
    retention.py     how much history is kept (age, count, bytes)
    encoded.py       encodings shared by whoever sends them
    actor.py         the store's actor: compaction in the background, Event objects that have lived long enough (expiry.py)
    checked.py       CheckedStore: notices who changes an object that is shared
"""
from kubelet_lite.store.actor import StoreActor
from kubelet_lite.store.checked import CheckedStore
from kubelet_lite.store.errors import Compacted, FutureRevision, Stale, StoreError
from kubelet_lite.store.event import Event
from kubelet_lite.store.keys import Key
from kubelet_lite.store.limits import Limits
from kubelet_lite.store.store import Store, stamped
from kubelet_lite.store.table import Page
from kubelet_lite.store.watch import WatchChannel

__all__ = [
    "CheckedStore", "Compacted", "Event", "FutureRevision", "Key", "Limits", "Page", "Stale", "Store", "StoreActor", "StoreError",
    "WatchChannel", "stamped",
]
