"""Judges: how aligned and how coherent is an answer, from 0 to 100, and who says so?"""
