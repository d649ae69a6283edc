"""Built-in plugins of the layer ``location``."""
