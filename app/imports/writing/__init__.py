"""A plan being carried out: intent before deed, under a lease, in its share of the account's lanes and quota."""
