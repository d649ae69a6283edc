"""The REST API: translates HTTP requests into calls of use cases."""
