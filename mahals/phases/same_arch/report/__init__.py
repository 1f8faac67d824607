"""Report of the sweep: what does each model say, and what do all together?"""
