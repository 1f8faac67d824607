"""Generation: what does a model say under each arm, and what does steering cost it?"""
