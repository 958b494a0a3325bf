"""Files of orders: read, planned row by row, and applied exactly as planned.

``read`` takes a file apart, ``plan`` says what each row would do and writes nothing, ``batches`` stores plans and
applies them, ``report`` has the sentences and the CSV. See the package's README.
"""
