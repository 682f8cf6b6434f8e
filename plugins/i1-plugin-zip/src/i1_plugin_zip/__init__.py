"""A data source for i1: captioned images inside a ZIP archive."""
