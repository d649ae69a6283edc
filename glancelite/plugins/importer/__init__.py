"""Built-in plugins of the layer ``importer``."""
