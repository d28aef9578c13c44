"""The systems: network, loss and decoding of each, as plain ``nn.Module``."""
