"""Tests of what plugins may use beside the contract."""
