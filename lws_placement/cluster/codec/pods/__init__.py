"""What one pod asks for, read from its spec: bounded, as users write it."""
