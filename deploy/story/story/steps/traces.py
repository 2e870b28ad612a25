"""Step 9: the trace of one read and of one withdrawal, each as one tree."""

from __future__ import annotations

import asyncio

from samlogg import trace
from story.cast import Story
from story.narrative import UnexpectedError, expect

READ = frozenset({"gateway", "logbook", "consent"})
WITHDRAWAL = frozenset({"gateway", "consent", "logbook"})


async def traces_are_trees(story: Story) -> None:
    """From the HTTP door over Kafka to the last consumer of ours, in Zipkin and here."""
    step = story.narrator.trace
    story.traces["read"] = story.narrator.new_trace()
    await story["nurse"].get(story.subject("nurse", "items?kind=goal"))
    story.narrator.trace = step
    for name, wanted in (("read", READ), ("withdrawal", WITHDRAWAL)):
        nodes = await whole(story, story.traces[name], wanted)
        story.say(f"The trace of one {name} ({story.traces[name]}):")
        story.say(*(f"  {line}" for line in trace.draw(nodes)))
        expect(f"trees in the trace of one {name}", 1, len(nodes))


async def whole(story: Story, wanted: str, services: frozenset[str], seconds: float = 40.0) -> list[trace.Node]:
    """The tree once every service that must take part is in it, and no more spans come."""
    nodes: list[trace.Node] = []
    before = -1
    for _ in range(int(seconds / 0.5)):
        try:
            spans = await asyncio.to_thread(trace.fetch, story.world.zipkin, wanted)
        except trace.NoTraceError:
            spans = []
        nodes = trace.joined(spans)
        if services <= trace.services(nodes) and len(spans) == before:
            return nodes
        before = len(spans)
        await asyncio.sleep(0.5)
    story.say(*(f"  {line}" for line in trace.draw(nodes)))
    missing = ", ".join(sorted(services - trace.services(nodes)))
    raise UnexpectedError(
        f"the trace is not whole after {seconds:.0f} s; missing: {missing or 'nothing, but spans still come'}"
    )
