"""One DRAM, command by command: device, address mapping, controller, and what masters offer it."""
