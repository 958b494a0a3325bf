"""The order desk."""
