"""Tests of HTTP requests to URLs that users name."""
