"""A procedural data set of captioned 64x64 scenes: objects, counts, colours, places, relations and words."""
