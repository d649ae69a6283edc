"""A walk through the service with real images and real clients."""
