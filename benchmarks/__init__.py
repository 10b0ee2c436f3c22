"""The budgets of the design, measured side by side with what a person would use instead."""
