"""An HTTP server in a thread of its own: uvicorn, told when to stop, with limits on what clients may hold up."""
