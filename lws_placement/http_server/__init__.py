"""HTTP/1.1 and HTTP/2 servers over TLS, with bounds on what a client may take."""
