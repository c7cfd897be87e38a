"""What runs containers: the interface and its implementations."""
if not __name__.startswith("kubelet_lite."):
    raise ImportError("import this package as kubelet_lite.runtimes")
