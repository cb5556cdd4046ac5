"""The server: HTTP and websockets around the operations, and the services that act on their own."""
