"""The conformance kit: a pytest plugin that tests plugins of the service."""
