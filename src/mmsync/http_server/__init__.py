"""An HTTP server in a thread of its own: uvicorn, told when to stop, with limits on what clients may hold up."""

INSTALL_HINT = (
    "install the extra server: pip install '.[server]' in a checkout, or a release's wheel with [server] behind it"
)
"""What to do where what it needs is not installed."""
