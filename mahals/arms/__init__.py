"""How are the arms of one target measured, controlled, priced and told apart?"""
