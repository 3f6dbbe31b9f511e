"""JSON of the API server to values of the engine, and back. The only readers of what users write
into objects. Imports `api` for the type of raw JSON.
"""
