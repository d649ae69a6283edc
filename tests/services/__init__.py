"""The use cases, with a service in memory."""
