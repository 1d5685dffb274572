//! An MQTT broker inside the process, on loopback, for the demo and tests.
