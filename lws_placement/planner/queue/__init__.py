"""Which groups the planner looks at, and when."""
