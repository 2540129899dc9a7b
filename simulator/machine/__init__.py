"""The units as SimPy components that wait, share and count; SimPy lives here and only here."""
