"""The node agent: makes pods that are bound to its node true on a container runtime, and says so in their status."""
