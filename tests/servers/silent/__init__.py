"""Stand-in for a hung mount, where mounting is not permitted."""
