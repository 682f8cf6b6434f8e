"""Low-rank adaptation (LoRA): small trained matrices added to frozen ones, and their files."""
