"""The text of the living comment and of the drift issue, as Markdown within GitHub's limit.

What comes from outside (names, paths, addresses) is in code spans only, where nobody is mentioned and no HTML begins;
the reports are written so by `mmsync.report.markdown`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from mmsync.ci.header import Header, dump_header
from mmsync.report.github import code, size
from mmsync.report.markdown import COMMENT_LIMIT

# Alone on their lines, where a report has nothing but its own: whatever it quotes stands inside a line.
_PLAN_BEGINS, _PLAN_ENDS = "<!-- mmsync plan -->", "<!-- mmsync end of plan -->"
_MORE = re.compile(r"- … and ([\d,]+) more not shown\n?")
_CLOSING = "\n</details>\n"

_HEADINGS = {
    "planned": "planned",
    "failed": "the plan failed",
    "cancelled": "the plan was cancelled",
    "applying": "applying",
    "applied": "applied",
    "not-applied": "not applied",
    "drift": "the server differs from the manifests",
    "in-sync": "in sync",
}


class Content(NamedTuple):
    """The content of a comment or an issue; its texts are Markdown of ours, what they quote is in code spans.

    Attributes:
        header: Its header.
        run_url: The page of the run, or "".
        subject: What is planned for which server, for the heading.
        reason: Why the state is as it is, or "".
        plan: The report of the plan, or "".
        is_outdated: Whether this plan is of an older commit, and no longer what would be done.
        result: What follows the plan: the report of an apply, or of the plan as it would be now.
        result_title: What to call it.
    """

    header: Header
    run_url: str = ""
    subject: str = ""
    reason: str = ""
    plan: str = ""
    is_outdated: bool = False
    result: str = ""
    result_title: str = ""


def measure(text: str) -> int:
    """Return the length of a text by the strictest count: UTF-16 units with line ends as two, or bytes of UTF-8.

    GitHub speaks of characters and does not say how it counts them.
    """
    return max(size(text), len(text.encode("utf-8", "replace")))


def compose(content: Content, limit: int = COMMENT_LIMIT) -> str:
    """Return the body of the comment, shorter than ``limit`` by `measure`."""
    header = content.header
    heading = f"### mmsync: {_HEADINGS[header.state]}" + (f" ({content.subject})" if content.subject else "")
    head = "\n\n".join(filter(None, [f"{dump_header(header)}\n{heading}", content.reason, _origin(content)])) + "\n"
    frames = [_result_frame(content), _plan_frame(content)] if content.result else [("", ""), _plan_frame(content)]
    room = limit - 1 - measure(head) - sum(measure("".join(frame)) for frame in frames)
    # What became of it comes first; of two, neither takes more than half from the other.
    needs = max(room // 2, room - measure(content.plan))
    result = cut(content.result, needs, content.run_url)
    plan = cut(content.plan, room - measure(result), content.run_url)
    (before, after), (opening, closing) = frames
    body = f"{head}{before}{result}{after}"
    return f"{body}{opening}{plan}{closing}" if content.plan else body


def _origin(content: Content) -> str:
    header = content.header
    parts = [f"Commit `{header.commit[:12]}`"] if header.commit else []
    parts += [f"[run {header.run}, attempt {header.attempt}]({content.run_url})"] if content.run_url else []
    parts += [header.time.replace("T", " ").replace("Z", " UTC")] if header.time else []
    parts += [f"since {header.since.replace('T', ' ').replace('Z', ' UTC')}"] if header.since else []
    parts += [f"digest `{header.digest}`"] if header.digest else []
    line = ", ".join(parts)
    return f"{line[:1].upper()}{line[1:]}." if line else ""


def _plan_frame(content: Content) -> tuple[str, str]:
    commit = content.header.plan_commit[:12]
    of = f" of commit <code>{commit}</code>" if commit else ""
    if content.is_outdated:
        title = f"Outdated: the plan{of}, before"
    elif content.result:
        title = f"The plan that was reviewed{of}"
    else:
        return f"\n{_PLAN_BEGINS}\n\n", f"\n{_PLAN_ENDS}\n"
    return f"\n<details>\n<summary>{title}</summary>\n\n{_PLAN_BEGINS}\n\n", f"\n{_PLAN_ENDS}\n{_CLOSING}"


def _result_frame(content: Content) -> tuple[str, str]:
    if not content.result_title:
        return "\n", ""
    return f"\n<details open>\n<summary>{content.result_title}</summary>\n\n", _CLOSING


def plan_report(body: str) -> str:
    """Return the report of the plan that a comment's body holds, or "" where it has none."""
    lines = body.splitlines()
    if _PLAN_BEGINS not in lines or _PLAN_ENDS not in lines:
        return ""
    start, end = lines.index(_PLAN_BEGINS), len(lines) - 1 - lines[::-1].index(_PLAN_ENDS)
    text = "\n".join(lines[start + 1 : end]).strip("\n")
    return f"{text}\n" if text else ""


def cut(report: str, room: int, run_url: str = "") -> str:
    """Return a report that fits: cut between two entries, with a sentence that says how much is missing, and where it is.

    Args:
        report: A report of `mmsync.report.markdown`.
        room: How long it may be, by `measure`.
        run_url: The page where the whole of it is, or "".
    """
    if measure(report) <= room:
        return report
    blocks = _blocks(report)
    whole = f"[the run's summary]({run_url})" if run_url else "the run's summary"

    def ending(kept: list[str]) -> str:
        missing = sum(map(_entries, blocks[len(kept) :])) + sum(_unlisted(block) for block in kept)
        sentence = f"\n**{missing:,} entries of this report are not shown here; the whole is in {whole}.**\n"
        opened = sum(block.startswith("<details") for block in kept) - sum(
            block.startswith("</details>") for block in kept
        )
        return _CLOSING * opened + sentence

    # The ending is longest where most is missing.
    longest = measure(ending([])) + 2 * measure(_CLOSING)
    length, kept = longest, []
    for block in blocks:
        length += measure(block)
        if length > room:
            break
        kept.append(block)
    text = "".join(kept) + ending(kept)
    return text if measure(text) <= room else ""


def _blocks(report: str) -> list[str]:
    """Return a report in pieces: each line with those that belong to it, what is indented and what is empty."""
    blocks: list[str] = []
    for line in report.splitlines(keepends=True):
        if blocks and line.startswith((" ", "\n")):
            blocks[-1] += line
        else:
            blocks.append(line)
    return blocks


def _entries(block: str) -> int:
    return _unlisted(block) or int(block.startswith("- "))


def _unlisted(block: str) -> int:
    found = _MORE.fullmatch(block.strip("\n"))
    return int(found[1].replace(",", "")) if found else 0


def subject_of(manifests: tuple[str, ...], environment: str) -> str:
    """Return what a comment is about, for its heading: the manifests, and where they go."""
    listed = ", ".join(code(path, 80) for path in manifests[:3]) + (" …" if len(manifests) > 3 else "")  # noqa: PLR2004
    return f"{listed} on {code(environment, 80)}" if environment else listed
