"""How the machine fares while a run lasts: host, GPUs, and the thread that samples them. See docs/system_metrics.md."""
