"""Resistance of a steered model: which answers does it write in which situation, and how good?"""
