"""From a plan to the bodies of Vertex AI's jobs, and what their ids, labels, states and errors mean."""
