"""The prompt files of the published benchmarks: found in a folder or downloaded, and verified.

They are the work of others and no part of this package.
"""
