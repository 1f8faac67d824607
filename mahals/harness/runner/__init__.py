"""The runner: how are tasks measured such that a kill loses none and bytes stay the same?"""
