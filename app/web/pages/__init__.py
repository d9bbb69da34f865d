"""The pages for people: one module for each room, and what several of them show."""
