"""What tasks read and write, as Airflow's assets."""
