"""Built-in plugins of the layer ``quota``."""
