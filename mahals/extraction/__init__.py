"""How are steering vectors read from pairs, held against their controls, and shown?"""
