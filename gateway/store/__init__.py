"""The shared record: transactions in, resources, histories and searches out."""
