"""The machinery under the networks: parameters, layers, stacks of layers, optimizers and files of
weights. Nothing is imported here, so that each module costs only what it needs:
`from digits.nn.sequential import Sequential`.
"""
