"""Recipes, the training step, the loop and its state, for i1."""
