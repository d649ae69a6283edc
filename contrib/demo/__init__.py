"""A demonstration of the service with real images and real clients."""
