"""DPG-Bench: dense prompts, scored by a visual question-answering judge on a graph of questions.

Source: https://arxiv.org/abs/2403.05135
"""
