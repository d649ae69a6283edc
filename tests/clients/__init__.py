"""OpenStack's own clients, unmodified, against a live service."""
