"""The API through the whole application."""
