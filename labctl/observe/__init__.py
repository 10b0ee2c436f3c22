"""Read-only looks at a running lab."""
