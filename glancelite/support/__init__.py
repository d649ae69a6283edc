"""Helpers that plugins may use besides the contract; covered by the contract's version."""
