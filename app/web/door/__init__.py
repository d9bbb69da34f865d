"""Who comes in: callers and what each may do, signing in, and what slows down whoever tries doors."""
