"""Parts of scripts/nightly: run, read, keep and show results. README.md in the folder above describes the files."""
