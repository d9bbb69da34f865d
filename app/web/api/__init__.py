"""The API: the calls of each room, the document that describes them, and what holds for every call."""
