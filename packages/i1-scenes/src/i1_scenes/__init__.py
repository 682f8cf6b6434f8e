"""The vocabulary, words and masks of the procedural scenes."""
