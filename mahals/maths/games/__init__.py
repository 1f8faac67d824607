"""Games: which joint choices of agents hold by themselves, and how sure is that?"""
