"""Pictures, label maps and scans that are drawn, so that the right answer is known."""
