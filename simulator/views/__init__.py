"""Tables, figures and timelines of results, traces and sweeps."""
