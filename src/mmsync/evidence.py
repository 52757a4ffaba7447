"""Evidence of the content the server holds: the ledger, then the image's size, then the bytes themselves.

No step guesses. Where a server leaves out what a step needs, the next one answers; where none can, the verdict
is *unknown* and says why.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Literal, NamedTuple

from mmsync.client import Client
from mmsync.client.error import ModelManagerError, ModelNotFound, TokenError
from mmsync.ledger import ImageKey, KnownImage, Ledger, VerifiedContent, image_key, known_content
from mmsync.observe import as_row, fill_in, image_id, image_size, row_of
from mmsync.parallel import parallel_map
from mmsync.types import Content, Evidence, Observed, ServerName, Shape, Verify


class Found(NamedTuple):
    """One model as it was found: the row, completed from its detail where that was read, and the evidence."""

    observed: Observed
    evidence: Evidence
    displayed: Shape | None = None  # the signature the server displays, where the detail was read


def gather(
    pairs: Iterable[tuple[Observed, Content]],
    client: Client,
    server: ServerName,
    ledger: Ledger,
    *,
    verify: Verify = "auto",
    jobs: int = 8,
    incomplete: Container[str] = frozenset(),
    on_progress: Callable[[str, int, int], None] | None = None,
    on_downloads: Callable[[int, int], None] | None = None,
) -> dict[str, Found]:
    """Find out for each model whether the server holds the content wanted.

    With a warm ledger no request is made. Otherwise a model costs one small request, and a download where the
    sizes agree; the ledger learns what the download showed. Raises `TokenError` where the server refuses the token.

    Args:
        pairs: The server's row and the content wanted, for each model that is on both sides.
        verify: ``auto`` asks the ledger first; ``always`` does not; ``never`` downloads nothing.
        incomplete: Names of models whose engine or description matters and is not in the list: their details are read
            to fill in what is missing, whatever the ledger knows.
        on_progress: Called with the model's name, the bytes downloaded and the bytes in all.
        on_downloads: Called before the first download with how many there will be, and of how many bytes.
    """
    found: dict[str, Found] = {}
    open_questions: list[tuple[Observed, Content]] = []
    ours = ledger.images(server)
    known: Mapping[ImageKey, KnownImage] = {} if verify == "always" else ours
    for observed, content in pairs:
        answer = _remembered(observed, content, known)
        if answer and answer.verdict == "different" and ledger.is_latest(server, observed.name, content.sha256):
            answer = None  # somebody replaced it, or the list is some seconds behind: the model itself says
        if answer and observed.name not in incomplete:
            found[observed.name] = Found(observed, answer)
        else:
            open_questions.append((observed, content))
    learned: list[tuple[ImageKey, KnownImage]] = []
    verified: list[tuple[str, VerifiedContent]] = []
    try:
        unsettled: list[_Unsettled] = []
        for _, seen in parallel_map(
            lambda question: _by_detail(*question, client, known, ours, verify, incomplete), open_questions, jobs=jobs
        ):
            if isinstance(seen, Found):
                found[seen.observed.name] = seen
            else:
                unsettled.append(seen)
        if unsettled and on_downloads:
            on_downloads(len(unsettled), sum(content.size for _, content, _ in unsettled))
        for (observed, content, displayed), (settled, lesson) in parallel_map(
            lambda each: _download(*each, client, on_progress), unsettled, jobs=jobs
        ):
            found[observed.name] = settled
            if lesson:
                learned.append(lesson)
                if settled.evidence.verdict == "same":
                    verified.append((observed.name, VerifiedContent(content.sha256, displayed=displayed)))
    finally:
        # What was downloaded before an interruption is not downloaded again.
        ledger.learn(server, learned)
        ledger.learn_verified(server, verified)
    return found


# A model whose bytes must be downloaded to tell, with the signature the server displays.
_Unsettled = tuple[Observed, Content, Shape]


def _remembered(observed: Observed, content: Content, known: Mapping[ImageKey, KnownImage]) -> Evidence | None:
    if (found := known_content(observed, known)) is None:
        return None
    return Evidence("same" if found[0] == content.sha256 else "different", "ledger", found[0], found[1])


def _by_detail(
    observed: Observed,
    content: Content,
    client: Client,
    known: Mapping[ImageKey, KnownImage],
    ours: Mapping[ImageKey, KnownImage],
    verify: Verify,
    incomplete: Container[str],
) -> Found | _Unsettled:
    """Settle one model by its detail, as far as that goes. ``ours`` says of which details we know, believed or not."""
    try:
        detail = client.find_detail(observed.name)
    except TokenError:
        raise
    except ModelManagerError as error:
        return _unknown(observed, str(error) or type(error).__name__)
    if detail is None:
        return _unknown(observed, "the server lists it, but does not show it; it may just have been deleted")
    seen, size = as_row(observed.name, detail, image_id(detail)), image_size(detail)
    newer = fill_in(seen, observed, "engine", "description", "image_id", "update_date")
    newer = newer._replace(id=observed.id, creation_date=observed.creation_date)
    is_replaced = (newer.image_id, newer.update_date) != (observed.image_id, observed.update_date)
    if is_replaced and known_content(newer, ours):
        observed = newer  # the list is behind what we did ourselves
    elif None not in (seen.image_id, observed.image_id) and str(seen.image_id) != str(observed.image_id):
        return _unknown(observed, "its content was replaced while the plan was made")
    # Engine and description only where they matter: a plan made with the ledger shows the same as one made without.
    also = ("engine", "description") if observed.name in incomplete else ()
    observed = fill_in(observed, seen, "id", "image_id", *also)
    answer = _remembered(observed, content, known)
    if answer and size in (None, answer.size):
        return Found(observed, answer, Shape.of(detail))
    if size is not None and size != content.size:
        return Found(observed, Evidence("different", "size", size=size), Shape.of(detail))
    if verify == "never":
        return Found(observed, Evidence("unknown", "size", size=size), Shape.of(detail))
    return observed, content, Shape.of(detail)


def _download(
    observed: Observed,
    content: Content,
    displayed: Shape,
    client: Client,
    on_progress: Callable[[str, int, int], None] | None,
) -> tuple[Found, tuple[ImageKey, KnownImage] | None]:
    """Settle one model by its bytes; the second value is what the ledger should learn."""
    progress = (lambda done, total: on_progress(observed.name, done, total)) if on_progress else None
    try:
        image = client.download_image(observed.name, on_progress=progress)
    except TokenError:
        raise
    except ModelNotFound:
        return _unknown(observed, "it was deleted while the plan was made"), None
    except ModelManagerError as error:
        return _unknown(observed, str(error) or type(error).__name__), None
    verdict: Literal["same", "different"] = "same" if image.sha256 == content.sha256 else "different"
    evidence = Evidence(verdict, "download", image.sha256, image.size)
    key = image_key(observed)
    if key is None or not _is_of(observed, image.image_id, client):
        return Found(observed, evidence, displayed), None
    return Found(observed, evidence, displayed), (key, (image.sha256, image.size, observed.update_date))


def _unknown(observed: Observed, why: str) -> Found:
    return Found(observed, Evidence("unknown", "none", why=why))


def _is_of(observed: Observed, image: int | str | None, client: Client) -> bool:
    """Return whether downloaded bytes are those of the row's image, and worth remembering as such.

    They may be of a newer one. Where the download does not name its image, an update date that has not moved since
    the list was read tells.
    """
    if image is not None:
        return str(image) == str(observed.image_id)
    there = None
    with contextlib.suppress(ModelManagerError):
        there = row_of(client, observed.name) if observed.update_date is not None else None
    return there is not None and there.update_date == observed.update_date


def gone_back(observed: Iterable[Observed], known: Mapping[ImageKey, KnownImage]) -> tuple[Observed, int] | None:
    """Return a model whose image has a lower id than one it held before, and that id; None where there is none.

    Ids of images only grow, until a server is put back to a backup: then it hands out again those that it had since.
    """
    highest: dict[tuple[str, str], int] = {}
    # Ten thousand images pass here in every run.
    for model, created, image in known:
        if image.isascii() and image.isdigit():
            number, key = int(image), (model, created)
            if number > highest.get(key, -1):
                highest[key] = number
    for row in observed:
        image_now = row.image_id
        if isinstance(image_now, int) and (now := image_key(row)) and image_now < (was := highest.get(now[:2], 0)):
            return row, was
    return None
