"""What does a vector do in another model than its own, and against what is that held?"""
