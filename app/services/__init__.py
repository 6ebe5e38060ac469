"""What the command line and the web page share."""
