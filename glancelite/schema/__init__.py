"""The attributes of resources: validation of requests, schema documents and JSON views."""
