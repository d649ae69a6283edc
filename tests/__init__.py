"""Tests of glancelite; folders mirror the layers of the package."""
