"""Traces for other tools to read."""
