"""The phases: which questions does the study ask?

One folder each; `registry` lists them.
"""
