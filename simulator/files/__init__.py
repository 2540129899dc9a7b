"""Files: read once and checked at the border, written in one piece."""
