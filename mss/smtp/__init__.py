"""The mail doors: other operators' relays, our users' submission, and the courier that carries mail away."""
