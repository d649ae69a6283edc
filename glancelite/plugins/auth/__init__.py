"""Built-in plugins of the layer ``auth``."""
