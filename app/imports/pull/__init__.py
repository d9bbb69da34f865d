"""Subscriptions: calendars elsewhere, fetched through a guard on a rhythm, and handed to the imports."""
