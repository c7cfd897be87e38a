"""The types of flowcontrol v1, as Kubernetes 1.36 serves them."""
from kubelet_lite.api._generated.flowcontrol_v1 import *
from kubelet_lite.api._generated.flowcontrol_v1 import __all__ as __all__
