"""What leaves the project: Inspect logs, files of tables, and a report of the study that can be mailed."""
