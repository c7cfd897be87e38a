"""Who asks the API: a *part* of a run, by the names under which faults find it; the first is the one that stories tell of.

An actor is known by its name (`kubelet-node-1`, `default-scheduler`), a `Program` that asks over HTTP by its own, others over HTTP by their
user agent before the slash (`kopf`), the scenario as `user`, or by the identity that it acts as. A user's name
(`system:serviceaccount:default:web`) is known, too.
"""
from __future__ import annotations

from contextvars import ContextVar
from typing import Final

from kubelet_lite.actors.actor import Incarnation, current_actor, current_incarnation
from kubelet_lite.api.identity import ADMIN, LOOPBACK, Identity
from kubelet_lite.simulation.virtual.network import dialled_by

USER: Final = "user"
"""The part that the scenario is."""
SERVER: Final = "apiserver"
"""The actor in which requests over HTTP are served."""
_asking: Final[ContextVar[str]] = ContextVar("asking", default="")
"""The part whose request is served here, where that is not the actor in which it is."""


def names_of(identity: Identity) -> tuple[str, ...]:
    """The names by which whoever asks now is known."""
    actor = current_actor()
    if actor == SERVER:
        program, agent = dialled_by.get(), identity.user_agent.partition("/")[0]
        return tuple(filter(None, ("" if program is None else program.actor, agent, identity.name)))
    if actor:
        return actor, identity.name
    return (USER, identity.name) if identity.name == ADMIN.name else (identity.name, USER)


def asking_incarnation() -> Incarnation | None:
    """The run of an actor that asks now, over HTTP too; None: no actor does."""
    return dialled_by.get() if current_actor() == SERVER else current_incarnation.get()


def note_asker(identity: Identity) -> None:
    """A request is served from here on. What the API server asks of itself meanwhile is done for whoever asked."""
    if identity is not LOOPBACK and current_actor() in ("", SERVER):
        name = names_of(identity)[0]
        _asking.set("" if name == USER else name)


def forget_asker() -> None:
    """Somebody else goes on here, the scenario itself unless it says otherwise."""
    _asking.set("")


def current_part() -> str:
    """The part for which this code works; "" for the scenario itself."""
    actor = current_actor()
    return _asking.get() or actor if actor in ("", SERVER) else actor
