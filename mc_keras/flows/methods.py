"""The learned methods: which flow, taught by which objective."""

METHODS = ("rnvp_bijection", "rnvp_flow", "iaf_flow")
