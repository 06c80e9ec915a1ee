"""The management API of the data plane: what a workspace's own programs set up, test and read. Sync DRF, but for the
test of a provider."""
