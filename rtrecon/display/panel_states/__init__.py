"""What each panel of the window draws, without Qt."""
