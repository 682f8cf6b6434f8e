"""The components of i1-bench."""
