"""Who asks: the user that authentication found, carried by every client and every request.

https://kubernetes.io/docs/reference/access-authn-authz/authentication/
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

MASTERS: Final = "system:masters"
AUTHENTICATED: Final = "system:authenticated"
UNAUTHENTICATED: Final = "system:unauthenticated"


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """A user as authorization, admission and audit see it, and the program it used."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    user_agent: str = "kubelet-lite"
    """The field manager's default: its part before the first slash."""


ANONYMOUS: Final = Identity(name="system:anonymous", groups=(UNAUTHENTICATED,))
ADMIN: Final = Identity(name="admin", uid="admin", groups=(MASTERS, AUTHENTICATED))
LOOPBACK: Final = Identity(name="system:apiserver", groups=(MASTERS, AUTHENTICATED))


def component(name: str) -> Identity:
    """A control-plane part (`kube-scheduler`, `kube-controller-manager`): user `system:NAME`."""
    return Identity(name=f"system:{name}", groups=(AUTHENTICATED,), user_agent=name)


def controller(name: str) -> Identity:
    """A controller with a service account of its own in kube-system, as kube-controller-manager runs them."""
    return Identity(
        name=f"system:serviceaccount:kube-system:{name}",
        groups=("system:serviceaccounts", "system:serviceaccounts:kube-system", AUTHENTICATED),
        user_agent="kube-controller-manager",
    )


def node(name: str) -> Identity:
    """A kubelet: user `system:node:NAME` in group `system:nodes`."""
    return Identity(name=f"system:node:{name}", groups=("system:nodes", AUTHENTICATED), user_agent="kubelet")


def service_account(namespace: str, name: str, uid: str = "") -> Identity:
    """A service account as its token authenticates it."""
    return Identity(
        name=f"system:serviceaccount:{namespace}:{name}", uid=uid,
        groups=("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED),
    )
