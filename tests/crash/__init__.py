"""Crashes, failures and people who leave: what remains is whole, or is swept up."""
