"""Everything that talks to Stripe. What a tenant may use is what Stripe's API says now (`state`), never what an event
or a returning browser claims.
"""
