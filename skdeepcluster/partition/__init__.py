"""The search for a partition: candidates, a learned criterion, a vote."""
