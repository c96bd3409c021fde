"""Makers of the documentation: reference pages, the animated picture, the site's hooks."""
