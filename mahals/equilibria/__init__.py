"""What do the equilibria of a game among agents look like?"""
