"""A model in one form written in another: `i1 convert`."""
