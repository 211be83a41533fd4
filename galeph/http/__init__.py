"""HTTP servers and clients, and WebSockets."""
