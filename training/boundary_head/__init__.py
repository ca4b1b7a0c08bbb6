"""The head that says where actions begin and end: its network and its learning."""
