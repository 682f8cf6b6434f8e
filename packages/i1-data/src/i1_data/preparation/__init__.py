"""Preparation: sources of any kind become sharded records of one size, which training reads fast."""
