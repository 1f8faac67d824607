"""Models: which are there, and how are they loaded, read, steered, tuned, asked and judged?"""
