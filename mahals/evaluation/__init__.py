"""Evaluation: what do two phases or more share that measures, and so needs a model?"""
