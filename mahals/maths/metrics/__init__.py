"""Metrics: what says how well states tell safe from unsafe, and how alike agents are?"""
