"""Cycle-accurate DRAM: constraint tables, banks, address mapping, controller and traffic."""
