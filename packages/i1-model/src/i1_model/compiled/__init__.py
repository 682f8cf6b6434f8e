"""Compilation for TPU slices that this machine does not have, and reports of the compiled programs."""
