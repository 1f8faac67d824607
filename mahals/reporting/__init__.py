"""Reporting: what do two phases or more share that tells and draws, and never needs a model?"""
