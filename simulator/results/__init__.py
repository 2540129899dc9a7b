"""What a replay found: exact sums, tables, figures and timelines."""
