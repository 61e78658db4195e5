"""What a running task shares, whichever operator, sensor or trigger it is."""
