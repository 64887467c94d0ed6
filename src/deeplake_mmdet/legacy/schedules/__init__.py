"""``lr_config`` and ``momentum_config``."""
