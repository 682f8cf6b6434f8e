"""The components of i1-sample."""
