"""Stand-ins for libraries that engines run in processes of their own: a folder to import from, as `library_path`.

What goes wrong is named in the prompt: `please fail`, `please die`, `please run out`, `please hang`, `please babble`.
"""
