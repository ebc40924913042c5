"""Training: settings, steps, the loop around `transformers.Trainer`."""
