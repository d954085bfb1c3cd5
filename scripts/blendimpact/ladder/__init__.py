"""The ladder: rungs, oracles, blend outcomes and the budget of their differences."""
