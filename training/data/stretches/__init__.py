"""Videos that are too long to be kept: cut into stretches, of which as many are at hand as fit."""
