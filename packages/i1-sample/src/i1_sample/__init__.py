"""Pictures from i1 models: solvers, guidance, the pipeline."""
