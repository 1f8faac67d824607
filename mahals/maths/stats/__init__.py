"""Statistics: how sure is a number: its interval, its p-value, does it beat a random control?"""
