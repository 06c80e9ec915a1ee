"""The workspace's pages about its data plane, for people who have logged in. Sync views; what they do, the API does."""
