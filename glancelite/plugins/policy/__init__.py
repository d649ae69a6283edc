"""Built-in plugins of the layer ``policy``."""
