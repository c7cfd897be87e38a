"""What stands behind the fixture `cluster` where pytest-asyncio runs the test: a fixture for each loop that a test may run in."""
from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from kubelet_lite.testing.plugin import CLUSTER_IN_LOOP, running_cluster

if TYPE_CHECKING:
    from kubelet_lite.cluster import Cluster


def _in_loop(scope: Any) -> Any:
    @pytest_asyncio.fixture(name=CLUSTER_IN_LOOP.format(scope), loop_scope=scope)
    async def of_asyncio(request: pytest.FixtureRequest) -> AsyncIterator[Cluster]:
        async for cluster in running_cluster(request):
            yield cluster

    return of_asyncio


cluster_in_function_loop = _in_loop("function")
cluster_in_class_loop = _in_loop("class")
cluster_in_module_loop = _in_loop("module")
cluster_in_package_loop = _in_loop("package")
cluster_in_session_loop = _in_loop("session")
