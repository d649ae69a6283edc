"""Built-in plugins of the layer ``middleware``."""
