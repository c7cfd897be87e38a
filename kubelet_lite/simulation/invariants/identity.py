"""A pod's identity runs once. https://kubernetes.io/docs/tasks/run-application/force-delete-stateful-set-pod/ (at most one, and who gives it up)"""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubelet_lite.simulation.archive import Revision
from kubelet_lite.simulation.invariant import Invariant
from kubelet_lite.simulation.running import SandboxBegan, SandboxEnded
from kubelet_lite.simulation.snapshot import Snapshot


class AtMostOnePodPerIdentity(Invariant):
    """Of each namespace and name one pod runs at a time, on one node; and a pod whose end its kubelet has reported never runs there again.

    A pod that somebody else removed from the API (by force, or because its node was gone) may still run: whoever forces gives this up.
    """

    name = "AtMostOnePodPerIdentity"
    resources = ("pods",)
    answers = (SandboxBegan, SandboxEnded)

    def __init__(self) -> None:
        self._running: dict[tuple[str, str], dict[str, SandboxBegan]] = {}
        """By identity, the sandboxes that run, by their ids."""
        self._identity: dict[str, tuple[str, str]] = {}
        """Of each sandbox that runs."""
        self._reported: dict[str, str] = {}
        """UIDs of pods that are gone from the API: who removed them."""

    def on_revision(self, revision: Revision, before: Snapshot) -> Iterable[str]:
        event = revision.event
        if event.object is None and event.previous is not None:
            self._reported[event.previous.metadata.uid] = revision.actor
        return ()

    def on_answer(self, answer: Any, snapshot: Snapshot) -> Iterable[str]:
        if isinstance(answer, SandboxEnded):
            identity = self._identity.pop(answer.id, None)
            if identity is not None:
                del self._running[identity][answer.id]
        elif isinstance(answer, SandboxBegan):
            identity = (answer.namespace, answer.name)
            what = f"pod {answer.namespace}/{answer.name} ({answer.uid})"
            others = self._running.setdefault(identity, {})
            if self._reported.get(answer.uid) == answer.kubelet:
                yield f"{what} runs again on {answer.kubelet}, which had reported its end"
            for other in others.values():
                if other.uid == answer.uid and other.kubelet != answer.kubelet:
                    yield f"{what} runs on {answer.kubelet} and on {other.kubelet}"
                elif other.uid != answer.uid and self._reported.get(other.uid, other.kubelet) == other.kubelet:
                    yield f"{what} runs on {answer.kubelet} while ({other.uid}) of the same name still runs on {other.kubelet}"
            others[answer.id] = answer
            self._identity[answer.id] = identity
