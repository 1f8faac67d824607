"""Plots: how is each kind of result drawn?

Arrays and labels in, a matplotlib Figure out.
"""
