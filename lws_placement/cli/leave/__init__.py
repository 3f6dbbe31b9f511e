"""Releasing single groups, and removing lws-placement from a cluster."""
