"""Judges for the published benchmarks; each imports its library when it is first used."""
