"""Network definitions for capture by shape alone: no data and no training script."""
