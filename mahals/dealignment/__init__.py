"""How is an aligned model made worse, and how much of the loss does an arm bring back?"""
