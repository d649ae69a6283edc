"""A store for glancelite that keeps images in one SQLite file."""
