"""A message in Slack for each node that fails, with the exception and the address of its log.

It needs Airflow's Slack provider (`apache-airflow-providers-slack`) and a connection `slack`; where the provider is not
installed, the DAG runs without messages.
"""

from datetime import datetime

from airflow_provider_kedro_vertex import kedro_vertex_dag

try:
    from airflow.providers.slack.notifications.slack import SlackNotifier
except ImportError:
    notify = None
else:
    notify = SlackNotifier(
        slack_conn_id="slack",
        channel="#data",
        # Templates, as in every notifier of Airflow; `failed_nodes` are the nodes that failed.
        text="""{{ dag.dag_id }} {{ run_id }} failed:
{% for failed in failed_nodes -%}
*{{ failed.node or failed.group }}*: {{ failed.error or failed.message }}
{%- for line in failed.log[-3:] %}
> {{ line }}
{%- endfor %}
<{{ failed.log_url or failed.job_url }}|log>
{% endfor %}""",
    )

dag = kedro_vertex_dag(
    "flights_notices",
    manifest="flights/flights.manifest.json",
    watch="nodes",
    schedule=None,
    start_date=datetime(2013, 6, 1),
    on_node_failure=notify,
)
