"""Sparse autoencoders: what do their latents read in states, and how are they held at values?"""
