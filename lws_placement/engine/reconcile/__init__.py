"""Decides what to do for one group now: `decide` takes its `GroupState` and a `Context` and returns
actions. The other modules are the cases of that decision. Imports everything below it in the
engine.
"""
