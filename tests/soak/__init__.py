"""`make soak`: tenants and faults beside each other on a real control plane, for as long as asked.

`test_soak.py` starts it. `storm.py` chooses faults, `programs.py` kills, stops and restarts,
`bad_api.py` answers badly, `shifted_clock.py` runs ours with another time. `tenants.py` and
`hostile.py` are those who use the cluster. `watching.py` passes every event to `promises.py`, which
knows what must hold at each. Everything random comes from one seed; the machine decides the rest.
"""
