"""Checks that several kinds share: each yields FieldErrors in the words of Kubernetes, in the order in which it checks."""
