"""The components of i1-data."""
