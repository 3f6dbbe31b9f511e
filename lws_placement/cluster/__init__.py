"""The cluster as this process knows it, and the calls it makes.

Each package imports only those below it (`pyproject.toml` holds this): `adapters` answers what the
engine, the extender, admission and the controller ask; `cache` keeps what the API server said last,
indexed for placement; `stores` reads and writes our Leases; `codec` turns JSON into the engine's
values and back; `api` has the client, watches, events, evictions and leader election.
"""
