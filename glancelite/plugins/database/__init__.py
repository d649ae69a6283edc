"""Built-in plugins of the layer ``database``."""
