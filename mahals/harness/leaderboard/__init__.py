"""The leaderboard: which steered configurations are best, and where can a reader see it?"""
