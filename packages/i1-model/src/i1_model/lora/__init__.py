"""Low-rank adaptation (LoRA): small matrices beside frozen ones, trained, stored and exchanged alone."""
