"""What the benchmark scripts share; no script imports another one."""
