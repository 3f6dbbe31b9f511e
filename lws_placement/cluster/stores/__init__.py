"""State that must outlive the process, as Leases in our namespace: holds, and failures of groups.
Imports `codec` and `api`.
"""
