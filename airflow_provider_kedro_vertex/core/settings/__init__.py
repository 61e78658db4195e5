"""The settings of a run: every key of ``vertexai.yml`` and of ``run_config=``, with quantities and machine types."""
