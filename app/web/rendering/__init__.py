"""Render passages and documents as HTML: Markdown, tables and lists of other formats, and code with colours."""
