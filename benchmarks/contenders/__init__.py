"""The programs that are measured: galeph's and the peers', one file each.

Every file is a script that is started as ``python -m benchmarks.contenders.<name> PORT ...``, so
what it imports is what its process pays for. The peers are set up as their documentation says
for one core, with access logs off.
"""
