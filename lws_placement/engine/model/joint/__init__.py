"""Rules among the members of one group: where some may be, given where the others are."""
