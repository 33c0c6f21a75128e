"""Command-line programs: flags, one call into mc_keras, a table."""
