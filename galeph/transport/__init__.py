"""How bytes move: sockets, TLS, listeners, datagrams, memory."""
