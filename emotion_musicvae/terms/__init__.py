"""What can be measured of melodies, and so asked for: a class a term."""
