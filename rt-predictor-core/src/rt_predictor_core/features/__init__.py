"""From a request and the history to a row of numbers: one definition for training and serving."""
