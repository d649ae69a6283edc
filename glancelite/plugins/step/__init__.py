"""Built-in plugins of the layer ``step``."""
