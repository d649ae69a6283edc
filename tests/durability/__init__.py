"""Imports with real processes, which are killed, frozen or cut off."""
