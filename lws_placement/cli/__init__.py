"""The verbs of `lws-placement`. Nothing else reads flags or prints. Imports everything."""
