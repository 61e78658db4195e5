"""Checks before anything is paid for: findings with a code, a fix and a page."""
