"""A store for glancelite that stores images in one SQLite file."""
