"""The process of a run: signals, memory of the host, library output, out-of-memory errors."""
