"""What code can ask about the run that it is part of: one module per noun, each with a getter per attribute."""
