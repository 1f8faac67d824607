"""Data: what are the texts of the study: prompts, preference pairs, neutral text, questions?"""
