"""The published language: everything two services, or a clinic's system and Attune, may say to each other."""
