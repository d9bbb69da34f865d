"""Calendars → LMS: compare an ICS with what we wrote before, and write only the difference."""
