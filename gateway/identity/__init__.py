"""The master patient index: match (pure: what makes two records one person), index, review."""
