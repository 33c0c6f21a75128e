"""What `mc-benchmark` measures: one file for each part of the library."""
