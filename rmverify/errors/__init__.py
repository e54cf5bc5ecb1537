"""What one step gets wrong: exact errors beside the exact flow, leading constants, and certified bounds over boxes."""
