"""The ResourceClaims of pods: made from templates and reserved for who was scheduled, then released when nobody uses them any more.

Two plans under one account, since one is about a pod and the other about a claim.
https://kubernetes.io/docs/concepts/resource-management/dynamic-resource-allocation/
"""
from kubelet_lite.controllers.resource_claim.pods import PodResourceClaims
from kubelet_lite.controllers.resource_claim.releasing import ResourceClaimRelease

__all__ = ["PodResourceClaims", "ResourceClaimRelease"]
