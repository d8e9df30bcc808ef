"""What the service is measured beside, each as good as one can honestly make it."""
