"""Maths: which numbers follow from arrays?

Arrays in, frozen dataclasses out; no model, no path.
"""
