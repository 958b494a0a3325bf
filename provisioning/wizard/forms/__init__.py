"""The forms of the steps, and of access requests.

``base`` has StepForm and StepFormSet, ``fields`` and ``choice_fields`` the form fields; each other module has the forms
of one subject. Forms get values, never a request, and never write.
"""
