"""What happened, for programs: usage, costs, exports, and the platform operators' view of all workspaces."""
