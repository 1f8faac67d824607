"""What happens when the models of a study meet: who talks about what, and comes out how?"""
