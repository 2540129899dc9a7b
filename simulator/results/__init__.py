"""Results of a replay: exact sums by phase, layer and epoch, their metrics, a run's files."""
