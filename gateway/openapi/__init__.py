"""What /api/schema/ says of the data plane, whose views DRF cannot look into."""
