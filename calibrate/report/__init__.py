"""The accuracy-drop report: its data, its verdict, and its renderings."""
