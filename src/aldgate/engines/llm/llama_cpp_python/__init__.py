"""llama.cpp as a Python library (https://github.com/abetlen/llama-cpp-python): GGUF files of a folder, one loaded at a time."""
