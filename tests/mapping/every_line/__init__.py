"""Every line of every map and every code of every table at work, in messages that the maps themselves ask for."""
