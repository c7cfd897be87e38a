"""A registry over an empty store in virtual time, for tests: `@in_world` runs an async test that is handed one."""
from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from kubelet_lite.api import encoding
from kubelet_lite.api.core_v1 import ConfigMap, Container, Pod, PodSpec
from kubelet_lite.api.errors import ApiError
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.client.local import LocalClient
from kubelet_lite.registry.registry import Registry
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from kubelet_lite.simulation.virtual.run import simulate
from kubelet_lite.store import CheckedStore

SEED = 7


class World:
    """Everybody may do everything, and nothing is admitted: only the registry itself."""

    def __init__(self, environment: SimulatedEnvironment) -> None:
        self.environment = environment
        self.store = CheckedStore(now=environment.now, encode=encoding.encode)
        self.registry = Registry(self.store, environment)
        self.client = LocalClient(self.registry)


def in_world(test: Callable[[World], Awaitable[None]]) -> Callable[[], None]:
    def run() -> None:
        async def main(environment: SimulatedEnvironment) -> None:
            world = World(environment)
            await test(world)
            world.store.check_all()

        simulate(SEED, main)

    run.__name__, run.__doc__, run.__module__ = test.__name__, test.__doc__, test.__module__
    return run


def config_map(name: str = "a", *, data: dict[str, str] | None = None, **metadata: Any) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(**{"name": name, "namespace": "default", **metadata}), data=data or {})


def pod(name: str = "p", *, node: str = "", **metadata: Any) -> Pod:
    containers = (Container(name="c", image="x"),)
    return Pod(metadata=ObjectMeta(**{"name": name, "namespace": "default", **metadata}), spec=PodSpec(containers=containers, nodeName=node))


async def refused(call: Awaitable[object]) -> ApiError:
    """The error that a call raises."""
    try:
        await call
    except ApiError as error:
        return error
    raise AssertionError("was not refused")


def names(objects: Sequence[Any]) -> list[str]:
    return [obj.metadata.name for obj in objects]
