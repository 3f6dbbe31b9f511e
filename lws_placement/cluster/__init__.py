"""The cluster as this process knows it, and its calls to the API server.

Each package imports only those below it (`pyproject.toml` holds this): `adapters` answers the
engine, the extender, admission and the controller; `cache` keeps the last known state of the API
server, indexed for placement; `stores` reads and writes our Leases; `codec` turns JSON into the
engine's values and back; `api` has the client, watches, events, evictions and leader election.
"""
