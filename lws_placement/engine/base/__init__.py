"""Names, quantities, bounded numbers, label keys, a small LRU cache: code that knows nothing of
placement. Of ours it imports only `errors`.
"""
