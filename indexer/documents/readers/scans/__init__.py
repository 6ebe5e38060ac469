"""Read pictures of text: files that are pictures, and what is recognized on the pages of others."""
