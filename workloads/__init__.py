"""Everything that imports torch: capture, recipes and model definitions."""
