"""What is known of videos beside their class: action segments and boxes."""
