"""The volumes of pods: which nodes they can be used from, and how those that wait for a node are bound."""
