"""The demo: one page that shows HTTP, Server-Sent Events, WebSocket, TCP and UDP at work."""
