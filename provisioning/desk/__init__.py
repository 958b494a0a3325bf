"""The order desk: Django's admin site for operators.

``provisioning.admin`` imports the modules, which register their tables; ``urls.py`` imports ``site.site``. Nothing else
imports this package.
"""
