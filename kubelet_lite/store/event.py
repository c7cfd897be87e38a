"""One change of one object: the entry of the log, what watchers receive, and a link of its key's history."""
from __future__ import annotations

from typing import Any, Final

import msgspec

from kubelet_lite.store.keys import Key

NO_POSITION: Final = -1


class Event(msgspec.Struct, frozen=True, gc=False, eq=False):
    """A create (no `previous`), an update, or a delete (no `object`: then `final` is the object as last seen, at the delete's revision)."""

    revision: int
    """Unique in the store; of two events the later one has the higher."""
    key: Key
    object: Any | None
    previous: Any | None
    """What the key held before this event."""
    final: Any | None = None
    prior: int = NO_POSITION
    """Position in its resource's log of the key's event before this one; compaction may have passed it."""
