"""Background work in procrastinate.

procrastinate imports ``tasks``, which settings name, and its command imports ``supervisor``. Nothing else imports this
package: actions wake tasks through ``provisioning.emails``.
"""
