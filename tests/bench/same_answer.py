"""Nobody of that name, and somebody without a grant: the same bytes, in the same time, through a real gateway."""

import statistics
from collections.abc import Iterator

from story.cast import Story
from story.steps.consent import ask
from tests.bench.report import Figure
from tests.bench.standing import Standing, elsewhere, progress

PAIRS = 2_000


async def prepared(story: Story) -> str:
    """A handle that the nurse was given and has no grant for: a request that nobody has answered."""
    await ask(story)
    return story.handles["nurse"]


def measure(standing: Standing, known: str, token: str) -> Iterator[Figure]:
    """Answers that differ, and the difference of the medians as a share of the smaller one."""
    unknown = ("A" if known[0] != "A" else "B") + known[1:]  # as long, and nobody's
    urls = [f"{standing.gateways[0]}/subjects/{handle}/items" for handle in (unknown, known)]
    done = elsewhere("tests.bench.load", {"pairs": urls, "token": token, "rounds": PAIRS})
    kinds = {kind for each in done["seen"] for kind in each}
    medians = [statistics.median(each) for each in done["taken"]]
    progress(f"refused: unknown {medians[0]:.3f} ms, no grant {medians[1]:.3f} ms")
    yield Figure("kinds of answers to an unknown subject and to no grant", len(kinds), "answers", "<= 1", "1")
    share = max(medians) / min(medians) - 1
    yield Figure("median time of an unknown subject and of no grant, difference", share, "share", "<= 0.05", "0.02")
