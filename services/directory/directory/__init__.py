"""Agencies, services, staff, categories, guides and attachments; nothing about any subject."""
