"""A chat room: ``python examples/chat.py``, then open http://127.0.0.1:8000/ in two windows.

Each connection is a greenlet of its own, so its handler just waits for the next message.
"""

from galeph import http

PAGE = """<!doctype html>
<form><input id="line" autofocus placeholder="name, then what to say"></form><pre id="room"></pre>
<script>
  const socket = new WebSocket(`${location.protocol.replace("http", "ws")}//${location.host}/`);
  socket.onmessage = (event) => { document.getElementById("room").append(event.data + "\\n"); };
  const say = () => { socket.send(document.getElementById("line").value); };
  document.forms[0].onsubmit = (event) => { say(); event.target.reset(); return false; };
</script>
"""

members: set[http.WebSocket] = set()


def say(text: str) -> None:
    """Tell everybody. Who takes nothing for a second misses it, and holds nobody up for longer."""
    for member in tuple(members):
        member.try_put(text, timeout=1)


def visit(websocket: http.WebSocket, name: str) -> None:
    """Be one member's connection from coming in to leaving."""
    members.add(websocket)
    try:
        say(f"{name} has come in, {len(members)} in the room")
        for message in websocket:
            if isinstance(message, str):
                say(f"{name}: {message}")
    finally:
        members.remove(websocket)
        say(f"{name} has left")


def chat(request: http.Request) -> http.Response | None:
    """Serve the page, and the WebSocket that the page opens."""
    if not http.is_websocket_upgrade(request):
        return http.Response(headers={"Content-Type": "text/html; charset=utf-8"}, body=PAGE)
    # origins: no foreign page may speak here through a visitor's browser.
    websocket = http.websocket_connection(request, origins="same").result()
    name = websocket.take()
    if isinstance(name, str):
        visit(websocket, name)
    return None


if __name__ == "__main__":
    with http.start_server(chat, 8000) as server:
        print(f"http://127.0.0.1:{server.port}/")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("bye")
