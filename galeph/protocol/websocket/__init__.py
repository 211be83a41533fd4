"""WebSocket without I/O: the opening handshake and the frames (RFC 6455)."""
