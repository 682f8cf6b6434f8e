"""The components of i1-train."""
