"""Plugins of the layer ``credential``."""
