"""The data set of the Sensorium 2023 competition: one folder per mouse."""
