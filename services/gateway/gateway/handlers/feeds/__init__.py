"""The feeds: what comes of others' events for agencies, people and staff."""

from gateway.handlers.feeds.effects import Feeds, Topics, feed_topic

__all__ = ["Feeds", "Topics", "feed_topic"]
