"""Indexes of pods: by group, by node, by namespace and labels; and members on their way."""
