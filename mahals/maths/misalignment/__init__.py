"""Misalignment: what do scored answers, states and weights say about a model that went wrong?"""
