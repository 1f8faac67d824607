"""Report of the crossings: what does a vector do in another model, against what?"""
