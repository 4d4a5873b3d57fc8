"""What is kept, where else, and for how long: backup and restore, retention, legal hold."""
