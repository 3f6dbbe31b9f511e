"""Makes kube-scheduler call the extender: its configuration, and its static pod under kubeadm."""
