"""Which versions these are."""
from __future__ import annotations

import importlib.metadata
import platform


def text() -> str:
    from kubelet_lite.api.version import GIT_VERSION

    own = importlib.metadata.version("kubelet-lite")
    return f"kubelet-lite {own}\nKubernetes {GIT_VERSION}\nPython {platform.python_version()}"
