"""The tab of hard patches."""
