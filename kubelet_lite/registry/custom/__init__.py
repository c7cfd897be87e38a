"""Custom resources: what a CustomResourceDefinition says, made into what the general pipeline knows of a kind.

`served.py` finds the definitions' resources, `stored.py` is the descriptor of one; pure functions over schemas are in files of their
own: `values` (validation), `formats`, `patterns`, `pruning`, `defaulting`, `list_types`, `embedded`, `typed_structure` (merging), `rows`
(printer columns), `scale`. `conditions.py` decides what a definition's status says, `lifecycle.py` writes it and deletes instances, run by
`actor.py`.
https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
"""
