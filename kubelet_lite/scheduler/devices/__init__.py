"""Dynamic resource allocation: the devices of nodes, and which of them the claims of pods get."""
