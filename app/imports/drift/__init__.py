"""What people made of our events in an LMS: seen, kept, listed, accepted or written over again."""
