"""What lies between this service and a driver that was written for glance_store."""
