"""Tests of where users may send us."""
