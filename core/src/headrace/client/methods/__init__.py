"""The documented methods of the client, one mixin for each noun."""
