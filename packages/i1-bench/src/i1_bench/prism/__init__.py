"""PRISM-Bench: alignment and aesthetics, rated from 0 to 10 by a vision-language model.

Source: https://arxiv.org/abs/2509.09680
"""
