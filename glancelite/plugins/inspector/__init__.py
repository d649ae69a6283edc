"""Built-in plugins of the layer ``inspector``."""
