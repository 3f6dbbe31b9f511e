"""JSON of the API server to values of the engine, and back. Only this package reads what users
write into objects. Imports `api` for the type of raw JSON.
"""
