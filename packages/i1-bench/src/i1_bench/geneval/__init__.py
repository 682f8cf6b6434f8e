"""GenEval: objects, counts, colours and positions, decided from the boxes of an object detector.

Source: https://arxiv.org/abs/2310.11513
"""
