"""Activations: what is a model's state on a text?"""
