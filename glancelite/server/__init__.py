"""The HTTP server that glancelite-api embeds."""
