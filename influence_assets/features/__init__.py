"""Which internal features carry personality: feature maps, directions, steering, trait tests."""
