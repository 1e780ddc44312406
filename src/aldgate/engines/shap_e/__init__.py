"""Shap-E: meshes from words or from a picture (https://github.com/openai/shap-e)."""
