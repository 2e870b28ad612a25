"""The feeds: what comes of others' events for agencies, people and staff."""

from gateway.handlers.feeds.effects import Feeds, Told, Topics, feed_topic

__all__ = ["Feeds", "Told", "Topics", "feed_topic"]
