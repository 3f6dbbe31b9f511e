"""What answers `explain`, `status` and `simulate`: the planner's own decisions, without acting on
them. Imports `cluster` and `engine`.
"""
