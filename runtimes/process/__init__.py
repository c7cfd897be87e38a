"""Containers as processes of this machine."""
from kubelet_lite.runtimes.process.runtime import ProcessRuntime

__all__ = ["ProcessRuntime"]
