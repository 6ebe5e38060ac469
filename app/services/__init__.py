"""Services behind both the command line and the web page."""
