"""Full-batch steps from gradients alone."""
