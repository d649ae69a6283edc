"""What plugins of any package may use beside the contract, under the same version."""
