"""The process of a run: signals, memory of the host, compilation cache, warnings."""
