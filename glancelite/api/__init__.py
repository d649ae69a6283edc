"""The REST API: HTTP in, use case, HTTP out."""
