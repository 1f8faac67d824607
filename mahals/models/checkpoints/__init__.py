"""Checkpoints: which are there, and what does loading one give?"""
