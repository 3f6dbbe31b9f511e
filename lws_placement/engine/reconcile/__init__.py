"""What to do for one group now: `decide` takes its `GroupState` and the cluster's views and
returns actions. The other modules are the cases of that decision. Imports everything below it in
the engine.
"""
