"""What is made on a bare CPU: pictures, clips, tones, speech, meshes. The same request gives the same bytes."""
