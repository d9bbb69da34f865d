"""LMS to calendar clients: what is published, built from the last good reading of each LMS calendar."""
