"""Plugins of the layer ``key_manager``."""
