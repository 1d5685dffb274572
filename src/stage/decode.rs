//! Payload bytes to rows of a source, by its mapping.
