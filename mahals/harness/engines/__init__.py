"""Engines: where do tasks run?"""
