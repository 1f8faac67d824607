"""What does a sweep over the strengths of one vector on its own model say?"""
