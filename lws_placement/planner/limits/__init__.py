"""Limits how often a group moves, and how much time costly plans and victim searches take."""
