"""Service load balancing and DNS of a node."""
if not __name__.startswith("kubelet_lite."):
    raise ImportError("import this package as kubelet_lite.proxy")
