"""Long proofs: what holds when the importer is killed, an answer is lost, or several begin at once."""
