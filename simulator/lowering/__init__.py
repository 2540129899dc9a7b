"""An operation of the trace becomes work for the units of this hardware."""
