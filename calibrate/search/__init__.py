"""The search for the cheapest recipe that passes the gate."""
