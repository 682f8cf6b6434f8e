"""Sources, filters, captions, mixing and the grain input pipeline of i1."""
