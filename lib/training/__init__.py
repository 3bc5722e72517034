"""Jobs: settings, data and a seed in, one run folder out. Many jobs are planned, run, resumed and watched the same way.

A finished run is read and never trained again; a failure is written down and stops no other job.
"""
