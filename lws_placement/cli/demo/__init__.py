"""`lws-placement demo`: the trap, and the life of groups, on a real control plane on loopback."""
