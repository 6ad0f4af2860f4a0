"""What a run needs whatever it trains: its control and context, the device, draws, and several workers."""
