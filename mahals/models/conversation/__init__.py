"""Conversation: what do agents say to each other, and what is an agent like after it?"""
