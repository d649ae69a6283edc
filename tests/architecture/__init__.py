"""The structure of the project."""
