"""Pure functions: how many cycles, how much memory time. No simulation, no clock of their own."""
