"""kube-scheduler's side of the extender: its configuration and files, and whether it uses them."""
