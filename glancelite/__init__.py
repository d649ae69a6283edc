"""The OpenStack Image service as a framework of swappable plugins."""
