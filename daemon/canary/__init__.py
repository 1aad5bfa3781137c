"""Canaries: a healthy and a faulty sample through the real topic, every minute."""
