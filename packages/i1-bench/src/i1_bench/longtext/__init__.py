"""LongText-Bench: long written texts, scored by the words that a judge reads in the picture.

Source: https://arxiv.org/abs/2507.22058
"""
