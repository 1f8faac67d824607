"""Vectors: which direction takes states from base to aligned, or from rejected to chosen?"""
