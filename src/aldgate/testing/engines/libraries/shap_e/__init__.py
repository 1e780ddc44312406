"""Stands in for Shap-E."""
