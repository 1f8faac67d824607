"""Misaligned subjects: which models are asked which questions, and what do they answer?"""
