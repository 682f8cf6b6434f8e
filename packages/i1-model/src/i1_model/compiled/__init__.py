"""Programs compiled ahead of time for machines that are not there, and what their text says."""
