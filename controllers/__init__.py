"""The controllers of the control plane: one file each, a pure plan and the shared loop."""
if not __name__.startswith("kubelet_lite."):
    raise ImportError("import this package as kubelet_lite.controllers")
