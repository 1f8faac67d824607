"""Steering: how is a model steered, and what are its states while it is?"""
