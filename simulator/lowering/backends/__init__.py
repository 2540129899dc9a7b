"""Backends: what each kind of unit takes of a step, and the stages of a call to it."""
