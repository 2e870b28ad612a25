"""Language tags (BCP 47): how they are written, which broader tag will do, and what a reader's browser wishes for."""

import re
from collections.abc import Sequence

FALLBACK = "nb"
TAG = r"^[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2})?$"
"""Language, and where it matters script and region: `nb`, `ar`, `zh-Hant`, `fa-AF`."""

_MOST = 20
_SCRIPT = 4


def tag(said: str) -> str | None:
    """A tag in the one way it is written here (`NN-no` is `nn-NO`); None when it is none. `no` is bokmål."""
    first, *rest = said.strip().split("-")
    language = "nb" if first.lower() == "no" else first.lower()
    found = "-".join([language, *(part.title() if len(part) == _SCRIPT else part.upper() for part in rest)])
    return found if re.fullmatch(TAG, found) else None


def broader(wish: str) -> Sequence[str]:
    """The tag itself, then without its last part, and so on (RFC 4647, lookup): `fa-AF`, `fa`."""
    parts = wish.split("-")
    return ["-".join(parts[:length]) for length in range(len(parts), 0, -1)]


def wishes(accept_language: str | None) -> Sequence[str]:
    """Languages of an Accept-Language header, best first, each followed by its broader ones, no unreadable ones."""
    found: list[tuple[float, int, str]] = []
    for place, part in enumerate((accept_language or "").split(",")[:_MOST]):
        name, _, quality = part.strip().partition(";")
        try:
            weight = float(quality.strip().removeprefix("q=")) if quality else 1.0
        except ValueError:
            continue
        language = tag(name)
        if language is not None and weight > 0:
            found.append((-weight, place, language))
    return list(dict.fromkeys(one for _, _, language in sorted(found) for one in broader(language)))
