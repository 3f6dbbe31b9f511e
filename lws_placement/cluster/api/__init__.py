"""The API server: client, list and watch, events, evictions, leader election, discovery. Imports
nothing else of `cluster`.
"""
