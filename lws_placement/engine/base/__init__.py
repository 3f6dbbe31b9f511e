"""Names, quantities, bounded numbers, label keys, a small LRU cache: what has no idea of placement.
Imports nothing of ours but `errors`.
"""
