"""One room per science case: its targets and its figures of merit."""
