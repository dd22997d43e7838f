"""What networks are made of: parameters, layers, stacks of layers, losses, optimizers. Nothing is
imported here, so that each module costs only what it needs.
"""
