"""From a pipeline and its settings to a plan: which nodes share a container, and what each container needs."""
