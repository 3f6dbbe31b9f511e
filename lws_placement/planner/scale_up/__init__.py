"""Makes a cluster autoscaler create whole domains for groups (`engine/model/scale_up.py`)."""
