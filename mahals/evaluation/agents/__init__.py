"""Agents at a table: which teams talk about what, and what is each agent like afterwards?"""
