"""Reports: plans, outcomes and diagnostics as text, Markdown and GitHub annotations, and an apply's events as JSON.

They return str and print nothing. The plan as JSON is ``plan/document.py``'s.

Every function for terminals returns whole lines ending in a line end, or an empty string. No line is wider than
``width`` columns unless a single name, path or digest is: those are never broken, as they will be copied. Text from a
server or a manifest is made printable. Colours are SGR sequences and appear only where asked for.
"""
