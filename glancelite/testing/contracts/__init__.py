"""One suite per layer: subclass it, override one fixture, and your plugin is proved."""
