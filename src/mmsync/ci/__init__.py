"""Plans by pull request on GitHub: one living comment, the digest that was reviewed, one issue for drift.

``run`` knows the workflow's run, ``header`` the hidden line by which a comment is found again, ``comment_body`` its
text, ``decisions`` who may write it and what was approved; all of these are pure. ``github_api`` speaks HTTP and
``living_comment`` keeps the comment and the issue through it. The command line is in `mmsync.cli.ci`.
"""
