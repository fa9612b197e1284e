#!/usr/bin/env bash
# stirwatch as the agent under test of an ingest bench: MQTT in, InfluxDB out, journal on.
# Environment: BROKER INFLUX_URL INFLUX_BUCKET INFLUX_ORG INFLUX_TOKEN CLIENT_ID DATA_DIR
# LOAD_MODE (flat | frame). The bench takes every number in the database for a sample, so anomalies
# of missing values (max_age) and counters (health) are switched off. STIRWATCH names the binary
# (default: bin/stirwatch of this project).
set -eu
here=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
channels() { # name unit
  cat <<'END'
tool/temperature degC
tool/torque Nm
tool/axial_force kN
tool/runout um
spindle/speed rpm
spindle/current A
spindle/vibration_x g
spindle/vibration_y g
feed/rate mm/min
feed/force kN
feed/temperature degC
table/x mm
table/y mm
table/z mm
table/temperature degC
substrate/temperature_1 degC
substrate/temperature_2 degC
coolant/flow l/min
coolant/temperature degC
ambient/temperature degC
END
}
{
  echo "machine: cell1"
  echo "channels:"
  channels | while read -r name unit; do echo "  ${name/\//_}: {unit: ${unit}, max_age: 0 s}"; done
  cat <<END
sources:
  load:
    mqtt:
      broker: $BROKER
      client_id: $CLIENT_ID
      clock: device
      topics:
END
  if [ "${LOAD_MODE:-flat}" = frame ]; then
    echo "        - {topic: afsd/+/frame, payload: frame, time: {key: ts, unit: ns}}"
  else
    echo "        - {topic: afsd/+/+/+, channel: \"{3}_{4}\", payload: json, value: value, unit_key: unit, time: {key: ts, unit: ns}}"
  fi
  cat <<END
journal: {path: $DATA_DIR/journal.db, health: 1 d}
influxdb:
  url: $INFLUX_URL
  org: "$INFLUX_ORG"
  bucket: $INFLUX_BUCKET
  batch: 20000
  token: {env: INFLUX_TOKEN}
END
} > "$DATA_DIR/agent.yaml"
exec "${STIRWATCH:-$here/bin/stirwatch}" run -c "$DATA_DIR/agent.yaml"
