"""Runs the gateway's migrations on the connection that chassis.storage.migrate opened."""

from alembic import context

from chassis.storage import run_migrations
from gateway.storage import metadata

run_migrations(context, metadata)
