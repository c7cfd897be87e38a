"""Subresources that are more than a part of their object: what each does is a file here, and a line in registry.py or parts.py."""
