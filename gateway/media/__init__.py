"""Files that people send and that models make: kept, read and shown, outside the transcript."""
