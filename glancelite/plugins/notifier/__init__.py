"""Built-in plugins of the layer ``notifier``."""
