"""What people look at: tables, figures, timelines of results, traces and sweeps."""
