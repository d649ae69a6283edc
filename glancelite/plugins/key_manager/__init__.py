"""Built-in plugins of the layer ``key_manager``."""
