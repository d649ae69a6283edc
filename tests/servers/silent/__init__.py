"""Stand-in for a mount that hangs, where nobody may mount anything."""
