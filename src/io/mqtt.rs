//! Source and sink on an MQTT broker.
