"""Workers that run flows on Azure."""
