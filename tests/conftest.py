"""What every test needs before anything is imported: an Airflow home of its own, and no telemetry."""

from __future__ import annotations

import os
import tempfile

from hypothesis import settings

# Airflow reads its settings when it is first imported, so they are made here and not in a fixture.
_HOME = tempfile.TemporaryDirectory(prefix="airflow-home-")
os.environ |= {
    "AIRFLOW_HOME": _HOME.name,
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    # Airflow 2 warns while this is not as Airflow 3 has it.
    "AIRFLOW__METRICS__TIMER_UNIT_CONSISTENCY": "True",
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "DO_NOT_TRACK": "1",
    "KEDRO_DISABLE_TELEMETRY": "1",
    # gcsfs reads it once, when the first test imports it. Else it asks Google for the bucket's kind, and waits for ever
    # where Google does not answer.
    "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
}

# An example's time says nothing on a busy machine; the first one also pays for imports.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")
