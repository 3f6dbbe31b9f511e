"""Taking groups out of our hands, and lws-placement off a cluster."""
