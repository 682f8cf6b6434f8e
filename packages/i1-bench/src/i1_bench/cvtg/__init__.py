"""CVTG-2K: several short texts in one picture, scored by what an OCR engine reads.

Source: https://arxiv.org/abs/2503.23461
"""
