"""Patches and field ownership: pure functions over JSON values and a view of the types. No kind is known here, no store."""
from kubelet_lite.registry.patch.json_patch import apply_json_patch
from kubelet_lite.registry.patch.merge_patch import apply_merge_patch
from kubelet_lite.registry.patch.strategic import apply_strategic

__all__ = ["apply_json_patch", "apply_merge_patch", "apply_strategic"]
