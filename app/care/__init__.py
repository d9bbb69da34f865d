"""What an administrator looks after: how all stands, what waits, what is kept and for how long."""
