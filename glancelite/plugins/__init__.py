"""The built-in plugins: each is reached through its entry point only."""
