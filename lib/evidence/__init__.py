"""Evidence: the tables of a run, statistics, and a verdict on each claim of the paper."""
