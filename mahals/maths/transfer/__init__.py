"""Transfer maps: how does a direction of one model become one of another, at which block?"""
