"""What X may be, and how it becomes numbers."""
