"""The last known state of what devices are given by. Imports `codec`."""
