"""Pages: one look for all that a browser shows, and the environment that renders it.

``environment`` renders the templates beside it; ``assets/look.css`` is what every page begins with. Whatever comes from
elsewhere is escaped by Jinja and passes ``printable`` on the way, so that it is text and nothing else.
"""
