"""Inspection: what a source holds, measured and shown on a page."""
