"""The components of i1-model."""
