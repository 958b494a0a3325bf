"""The forms of the Meetings service: its sites, their names, and the licenses of each site."""
