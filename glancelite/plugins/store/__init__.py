"""Built-in plugins of the layer ``store``."""
