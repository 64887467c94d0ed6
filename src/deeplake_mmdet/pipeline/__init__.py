"""MMDetection's pipelines step by step: which steps are deterministic, and how images are decoded."""
