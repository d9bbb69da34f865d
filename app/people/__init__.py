"""Those who may do something here: accounts, tokens, what they did, and what they were answered."""
