"""A whole Kubernetes in one Python process."""
