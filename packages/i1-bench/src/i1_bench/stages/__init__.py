"""The stages of a run: prepare, generate, judge, score and report; each resumes what an earlier call left."""
