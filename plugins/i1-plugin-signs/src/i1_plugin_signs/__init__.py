"""A benchmark of short signs."""
