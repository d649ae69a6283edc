"""The server, as started processes."""
