"""FHIR clients that others wrote, used as their users use them, against a gateway of its own."""
