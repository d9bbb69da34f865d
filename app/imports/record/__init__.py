"""What is kept of every run: its plan, its progress and report, its file; and what people and programs are told."""
