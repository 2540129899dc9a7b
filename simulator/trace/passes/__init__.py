"""Training methods as data: bits, density and frozen layers, laid over a trace."""
