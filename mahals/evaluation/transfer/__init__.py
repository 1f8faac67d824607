"""Transfer arms: what becomes of a vector in another model, and whose vector is best there?"""
