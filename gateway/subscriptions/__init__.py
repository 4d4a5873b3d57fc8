"""Subscriptions of FHIR clients: R4 rest-hooks, and topics by the Subscriptions R5 Backport guide 1.1.

    topics        what there is to subscribe to by name
    wish          a Subscription resource → what it asks for, or which element makes no sense
    registry      the rows beside the resources: state, maker, headers, events
    owing         a committed change → deliveries in the outbox, in the same transaction
    notification  Bundles and Parameters that are sent and answered
    sending       one delivery → a request to the endpoint
    life          the states of a Subscription, and what moves it
    keeper        one line for each Subscription with something to send; heartbeats, ends, tokens that are gone

They share the outbox, its order, its patience and its receipts with all other deliveries.
"""
