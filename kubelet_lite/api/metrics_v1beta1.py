"""The types of metrics.k8s.io v1beta1, which metrics-server serves beside an API server: what nodes and pods use.

https://github.com/kubernetes/metrics
"""
from __future__ import annotations

from collections.abc import Mapping

from msgspec import field

from kubelet_lite.api import meta_v1
from kubelet_lite.api._generated.base import NIL, Base, Quantity, Time, always

__all__ = ["ContainerMetrics", "NodeMetrics", "NodeMetricsList", "PodMetrics", "PodMetricsList"]


class NodeMetrics(Base, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Its usage is the mean over `window` (a duration, as Go writes it) until `timestamp`."""

    kind: str = "NodeMetrics"
    apiVersion: str = "metrics.k8s.io/v1beta1"
    metadata: meta_v1.ObjectMeta = field(default_factory=always(meta_v1.ObjectMeta()))
    timestamp: Time | None = field(default_factory=always(None))
    window: str = field(default_factory=always("0s"))
    usage: Mapping[str, Quantity] = field(default_factory=dict)


class NodeMetricsList(Base, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    kind: str = "NodeMetricsList"
    apiVersion: str = "metrics.k8s.io/v1beta1"
    metadata: meta_v1.ListMeta = field(default_factory=always(meta_v1.ListMeta()))
    items: tuple[NodeMetrics, ...] = field(default_factory=always(NIL))


class ContainerMetrics(Base, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    name: str = field(default_factory=always(""))
    usage: Mapping[str, Quantity] = field(default_factory=dict)


class PodMetrics(Base, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    kind: str = "PodMetrics"
    apiVersion: str = "metrics.k8s.io/v1beta1"
    metadata: meta_v1.ObjectMeta = field(default_factory=always(meta_v1.ObjectMeta()))
    timestamp: Time | None = field(default_factory=always(None))
    window: str = field(default_factory=always("0s"))
    containers: tuple[ContainerMetrics, ...] = field(default_factory=always(NIL))


class PodMetricsList(Base, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    kind: str = "PodMetricsList"
    apiVersion: str = "metrics.k8s.io/v1beta1"
    metadata: meta_v1.ListMeta = field(default_factory=always(meta_v1.ListMeta()))
    items: tuple[PodMetrics, ...] = field(default_factory=always(NIL))
