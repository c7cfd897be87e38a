"""How everybody reads and writes objects: one interface, whatever is beneath it.

base.py    Client: what every client promises
local.py   a registry in this process; http.py: any Kubernetes API server
dry_run.py, namespaced.py   wrappers over either (wrapper.py)
cache.py   informers: a part of the cluster in memory; events.py: the event recorder
"""
