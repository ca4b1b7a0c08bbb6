"""What a command tells while it works: what it waits for, and its log."""
