"""How kube-scheduler gives devices to pods (`dynamic-resource-allocation/structured`, 1.37: the
allocator that its default features choose), and what that means for one pod and for a group.
"""
