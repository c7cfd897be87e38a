"""Which pods stand behind a Service: EndpointSlices, Endpoints, and slices that mirror Endpoints made by hand.

https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/
"""
from kubelet_lite.controllers.endpoints.endpoints import EndpointsController
from kubelet_lite.controllers.endpoints.mirroring import EndpointSliceMirroring
from kubelet_lite.controllers.endpoints.slices import EndpointSliceController

__all__ = ["EndpointSliceController", "EndpointSliceMirroring", "EndpointsController"]
