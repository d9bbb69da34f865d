"""The feed doctor: what calendar programs will make of a feed, rule by rule, with the line and the rule's source."""
