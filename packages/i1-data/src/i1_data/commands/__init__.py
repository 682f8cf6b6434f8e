"""The commands `i1 data ...`."""
