"""What may happen to an object (not an image registry): the API server without its wire.

registry.py       Registry: every verb on every resource, the one thing to use from outside
pipeline.py       how a stored object is created, changed, deleted; knows no kind (part.py: ways to update, deletion.py, metadata.py)
reading.py        get, list, watch (selection.py, watching.py, continue_token.py)
rules.py, kinds/  what is particular to a kind, as data beside the pipeline; stored.py binds both, conversion/ serves a kind in two forms
bodies.py, patch/ objects and patches as they are sent, and who owns which field
subresources/     scale, binding, eviction, log, …
authorization/, admission/, validation/  who may, what else must hold, how fields are checked
sharing.py        equal parts stored once
"""
