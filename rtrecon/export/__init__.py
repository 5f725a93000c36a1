"""Writes recorded sessions for other programs: NWB, tables, neurons of a dish."""
