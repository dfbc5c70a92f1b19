"""What, not when: values and pure functions. No await, no clock, no chance, no I/O."""
