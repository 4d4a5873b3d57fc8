"""What came in, what is owed, what was answered, what died; replay."""
