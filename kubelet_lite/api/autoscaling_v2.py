"""The types of autoscaling v2, as Kubernetes 1.36 serves them."""
from kubelet_lite.api._generated.autoscaling_v2 import *
from kubelet_lite.api._generated.autoscaling_v2 import __all__ as __all__
