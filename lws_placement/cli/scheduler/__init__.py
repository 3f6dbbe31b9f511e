"""What lets kube-scheduler call the extender: its configuration, its files, and whether it does."""
