"""The types of authorization v1, as Kubernetes 1.36 serves them."""
from kubelet_lite.api._generated.authorization_v1 import *
from kubelet_lite.api._generated.authorization_v1 import __all__ as __all__
