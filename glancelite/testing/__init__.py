"""The conformance kit: a pytest plugin that proves plugins."""
