"""Tables, and the page that shows an evaluation."""
