"""What one calls from Python: runs and scenarios that draw, save and compare themselves."""
